"""Which route of the console asks for which action: the whole table, and nothing elsewhere.

An auditor reads it from top to bottom. A route that does not stand here is
refused at the listener, whoever asks; at the node's socket it may still answer.

An `Action` is asked for at the study and organisation that the path's object
belongs to; where the path names none, only a role without limits allows it.
`Somewhere` leaves the question of where to the route. `ANY_PERSON` is whoever
is signed in, as far as he sees; `HOUSE` whoever has a role without limits.
"""

from __future__ import annotations

from collections.abc import Mapping

from consilium.node.reading.uploads import MOST_BYTES
from consilium.persons.roles import Action
from consilium.web.guard import Key, Open, Rule, Somewhere

LARGE: Mapping[Key, int] = {("POST", "/uploads"): MOST_BYTES + (8 << 20)}
"""Routes that take more than a megabyte, and how many bytes."""
TABLE: Mapping[Key, Rule] = {
    # Signing in, and one's own session
    ("GET", "/session"): Open.ANYBODY,
    ("POST", "/session"): Open.ANYBODY,
    ("DELETE", "/session"): Open.ANY_PERSON,
    ("POST", "/welcome"): Open.ANYBODY,
    ("POST", "/session/password"): Open.ANY_PERSON,
    ("POST", "/session/second-factor"): Open.ANY_PERSON,
    ("PUT", "/session/second-factor"): Open.ANY_PERSON,
    ("GET", "/sessions"): Open.ANY_PERSON,
    ("DELETE", "/sessions/{session}"): Open.ANY_PERSON,
    ("GET", "/events"): Open.ANY_PERSON,
    # Home, and the space at a glance
    ("GET", "/home"): Open.ANY_PERSON,
    ("GET", "/overview"): Open.HOUSE,
    # The node
    ("GET", "/status"): Open.ANY_PERSON,
    ("GET", "/tasks/{task}"): Open.HOUSE,
    ("GET", "/members"): Open.HOUSE,
    ("GET", "/nodes"): Open.ANY_PERSON,
    ("POST", "/nodes/doctor"): Open.HOUSE,
    ("GET", "/settings"): Open.HOUSE,
    ("GET", "/backups"): Open.HOUSE,
    ("POST", "/backups"): Action.MAKE_BACKUP,
    ("POST", "/backups/{name}/proof"): Action.MAKE_BACKUP,
    # Persons
    ("GET", "/persons"): Open.HOUSE,
    ("GET", "/persons/{who}"): Open.HOUSE,
    ("POST", "/persons"): Action.MANAGE_PERSONS,
    ("POST", "/persons/{who}/password"): Action.MANAGE_PERSONS,
    ("POST", "/persons/{who}/disable"): Action.MANAGE_PERSONS,
    ("POST", "/persons/{who}/enable"): Action.MANAGE_PERSONS,
    ("DELETE", "/persons/{who}/second-factor"): Action.MANAGE_PERSONS,
    ("POST", "/persons/{who}/roles"): Action.MANAGE_PERSONS,
    # What waits for a person; an item's delegate may hold any role
    ("GET", "/queue"): Open.ANY_PERSON,
    ("GET", "/queue/{item}"): Open.ANY_PERSON,
    ("POST", "/queue/{item}/settle"): Open.ANY_PERSON,
    ("POST", "/queue/{item}/delegate"): Somewhere(Action.SETTLE),
    # What leaves
    ("GET", "/approvals"): Open.ANY_PERSON,
    ("GET", "/approvals/{release}"): Open.ANY_PERSON,
    ("POST", "/approvals"): Somewhere(Action.REQUEST_RELEASE),
    ("POST", "/approvals/{release}/approve"): Action.APPROVE_RELEASE,
    ("POST", "/approvals/{release}/withdraw"): Open.ANY_PERSON,
    ("GET", "/models"): Open.ANY_PERSON,
    ("GET", "/models/{digest}"): Open.ANY_PERSON,
    ("POST", "/models/{digest}/export"): Action.EXPORT_MODEL,
    ("POST", "/models/{digest}/audit"): Action.REQUEST_RELEASE,
    ("POST", "/verdicts"): Action.REQUEST_RELEASE,
    # Datasets
    ("GET", "/datasets"): Open.HOUSE,
    ("GET", "/datasets/{name}"): Open.HOUSE,
    ("POST", "/datasets"): Action.REGISTER_DATASET,
    ("POST", "/uploads"): Action.REGISTER_DATASET,
    # Agreements
    ("GET", "/catalog"): Open.ANY_PERSON,
    ("GET", "/catalog/members"): Open.HOUSE,
    ("GET", "/agreements"): Open.ANY_PERSON,
    ("GET", "/agreements/{agreement}"): Open.ANY_PERSON,
    ("GET", "/agreements/{agreement}/compare/{other}"): Open.ANY_PERSON,
    ("POST", "/agreements"): Action.REQUEST_AGREEMENT,
    ("POST", "/agreements/{agreement}/revocation"): Action.REVOKE_AGREEMENT,
    ("GET", "/budgets"): Open.HOUSE,
    ("GET", "/negotiations"): Open.HOUSE,
    ("GET", "/negotiations/{pid}"): Open.HOUSE,
    ("GET", "/transfers"): Open.HOUSE,
    ("GET", "/transfers/{pid}"): Open.HOUSE,
    # Studies
    ("GET", "/studies"): Open.ANY_PERSON,
    ("GET", "/studies/{study}"): Open.ANY_PERSON,
    ("GET", "/studies/{study}/run"): Open.ANY_PERSON,
    ("GET", "/studies/{study}/events"): Open.ANY_PERSON,
    ("GET", "/studies/{study}/result"): Open.ANY_PERSON,
    ("GET", "/studies/{study}/compare"): Open.ANY_PERSON,
    ("GET", "/recipes"): Open.ANY_PERSON,
    ("GET", "/rules"): Open.ANY_PERSON,
    ("POST", "/cohorts"): Somewhere(Action.RUN_STUDY),
    ("POST", "/drafts"): Somewhere(Action.RUN_STUDY),
    ("POST", "/studies"): Action.RUN_STUDY,
    ("POST", "/studies/{study}/stop"): Action.STOP_STUDY,
    ("POST", "/statistics"): Action.RUN_STUDY,
    # Evidence
    ("GET", "/evidence"): Action.READ_EVIDENCE,
    ("POST", "/evidence/verify"): Action.READ_EVIDENCE,
    ("GET", "/evidence/checkpoint"): Action.READ_EVIDENCE,
    ("GET", "/evidence/{seq}/proof"): Action.READ_EVIDENCE,
    ("POST", "/evidence/exports"): Action.EXPORT_EVIDENCE,
    ("GET", "/evidence/exports/{digest}"): Action.EXPORT_EVIDENCE,
}
