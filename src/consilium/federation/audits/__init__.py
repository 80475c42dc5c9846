"""Attacks on our own models before release: who was in the training, what did a patient look like.

Each attack has a positive control, a case in which it must succeed. A report
of an attack that finds nothing is worth something only beside one that did.
"""

from consilium.federation.audits.federated import audit_federation, federated_fit
from consilium.federation.audits.inversion import (
    InversionReport,
    audit_update,
    invert_linear,
    one_case_step,
)
from consilium.federation.audits.membership import (
    MembershipReport,
    audit_membership,
    memorising_fit,
)

__all__ = [
    "InversionReport",
    "MembershipReport",
    "audit_federation",
    "audit_membership",
    "audit_update",
    "federated_fit",
    "invert_linear",
    "memorising_fit",
    "one_case_step",
]
