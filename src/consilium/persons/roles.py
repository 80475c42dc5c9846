"""Who may do what: one table of roles and actions, and one pure function that reads it.

Default deny. An administrator manages accounts, makes backups and decides nothing else, so
that nobody can make himself the second person of a release without another
administrator seeing a new account in the evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from consilium.persons.records import Grant, Person, Role


class Action(StrEnum):
    """What a person can be asked to be allowed to do."""

    MANAGE_PERSONS = "person.manage"
    MAKE_BACKUP = "backup.make"
    REGISTER_DATASET = "dataset.register"
    REQUEST_AGREEMENT = "agreement.request"
    REVOKE_AGREEMENT = "agreement.revoke"
    RUN_STUDY = "study.run"
    STOP_STUDY = "study.stop"
    SETTLE = "queue.settle"
    REQUEST_RELEASE = "release.request"
    APPROVE_RELEASE = "release.approve"
    EXPORT_MODEL = "model.export"
    EXPORT_EVIDENCE = "evidence.export"
    READ_EVIDENCE = "evidence.read"
    ANNOTATE = "annotation.write"
    ASK_ASSISTANT = "assistant.ask"
    ADMIT_MEMBER = "member.admit"


MAY: Mapping[Role, frozenset[Action]] = {
    Role.ADMINISTRATOR: frozenset({Action.MANAGE_PERSONS, Action.MAKE_BACKUP}),
    Role.STEWARD: frozenset(
        {
            Action.REGISTER_DATASET,
            Action.REQUEST_AGREEMENT,
            Action.REVOKE_AGREEMENT,
            Action.STOP_STUDY,
            Action.SETTLE,
            Action.REQUEST_RELEASE,
            Action.APPROVE_RELEASE,
            Action.EXPORT_MODEL,
            Action.EXPORT_EVIDENCE,
            Action.READ_EVIDENCE,
        }
    ),
    Role.RESEARCH_LEAD: frozenset(
        {
            Action.REQUEST_AGREEMENT,
            Action.RUN_STUDY,
            Action.STOP_STUDY,
            Action.REQUEST_RELEASE,
            Action.EXPORT_MODEL,
            Action.ANNOTATE,
            Action.ASK_ASSISTANT,
        }
    ),
    Role.DOCTOR: frozenset({Action.ANNOTATE, Action.ASK_ASSISTANT}),
    Role.ETHICS_OFFICER: frozenset(
        {
            Action.REVOKE_AGREEMENT,
            Action.STOP_STUDY,
            Action.SETTLE,
            Action.REQUEST_RELEASE,
            Action.APPROVE_RELEASE,
            Action.READ_EVIDENCE,
        }
    ),
    Role.AUDITOR: frozenset({Action.REQUEST_RELEASE, Action.EXPORT_EVIDENCE, Action.READ_EVIDENCE}),
    Role.OFFICE: frozenset({Action.SETTLE, Action.ADMIT_MEMBER}),
}
"""What each role allows; what does not stand here is refused."""


def may(person: Person, action: Action, *, study: str = "", organisation: str = "") -> bool:
    """Say whether a person may do something.

    Parameters
    ----------
    person : Person
        Whoever asks; a disabled account may nothing.
    action : Action
        What is asked for.
    study, organisation : str
        What it is about. Empty means all of them, which only a role without
        that limit covers.

    Returns
    -------
    bool
        True if one of the person's roles allows it there.
    """
    return person.is_active and any(
        action in MAY[grant.role] and covers(grant, study=study, organisation=organisation)
        for grant in person.grants
    )


def holds(person: Person, role: Role, *, study: str = "", organisation: str = "") -> bool:
    """Say whether a person has this very role there; scopes as in `may`."""
    return person.is_active and any(
        grant.role is role and covers(grant, study=study, organisation=organisation)
        for grant in person.grants
    )


def covers(grant: Grant, *, study: str, organisation: str) -> bool:
    """Say whether a grant reaches as far as this."""
    return grant.study in ("", study) and grant.organisation in ("", organisation)
