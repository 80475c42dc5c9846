"""Whole spaces from one file, their reports, and the Python client.

Nothing is handed on here: `consilium.connect` is the client's door, and the
command line imports what it needs, so that it starts quickly.
"""
