"""Persons of one participant: accounts, roles, what waits for them, what two of them release."""
