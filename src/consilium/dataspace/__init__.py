"""Participants, catalogue, agreements, policy and transfers, by the Dataspace Protocol 2025-1.

Import from the files: this page stays empty so that who needs only the policy
does not load the wire.
"""
