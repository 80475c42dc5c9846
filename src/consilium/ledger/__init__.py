"""Durable state and its proof: keys, signed statements, files, database, evidence."""
