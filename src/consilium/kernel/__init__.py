"""Errors, identifiers, clock and canonical bytes: pure, and known to every room."""
