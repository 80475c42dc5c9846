"""Two hospitals, a negotiation and a transfer that can be put into any state, and every message.

Tests of several folders load this file (see their `conftest.py`).
"""

from __future__ import annotations

from dataclasses import replace

from dataspace_rehearsal import Hospital, Space, sign_claims, study_claims, terms

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.decisions import ScriptDecide
from consilium.dataspace.policy import agreement_of, offer_for, policy_of
from consilium.dataspace.records import Negotiation, Process, Role, Transfer
from consilium.dataspace.store import save
from consilium.dataspace.tables import OUTBOX
from consilium.dataspace.wire import builders
from consilium.kernel.identifiers import AgreementId, OfferId

BASE = builders.BASE
N_MESSAGES = {
    "request": "REQUESTED",
    "offers": "OFFERED",
    "events/ACCEPTED": "ACCEPTED",
    "agreement": "AGREED",
    "agreement/verification": "VERIFIED",
    "events/FINALIZED": "FINALIZED",
    "termination": "TERMINATED",
}
T_MESSAGES = {
    "start": "STARTED",
    "suspension": "SUSPENDED",
    "completion": "COMPLETED",
    "termination": "TERMINATED",
}
"""Every message about a process that exists, and the state it asks for."""


class Both:
    """A finished negotiation and a started transfer of hospitals that decide nothing any more."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.north, self.south = space.add("north"), space.add("south")
        self.south.register(terms=terms("north"))
        (listing,) = request_catalog(self.north.connector, self.south.me)
        asked = negotiation.request_agreement(
            self.north.connector, self.south.me, dataset=listing.dataset, offer=listing.offer
        )
        space.settle()
        self.asked = self.north.negotiation(asked.pid)
        agreement = self.north.agreement(self.asked.agreement, role=Role.CONSUMER)
        signed = sign_claims(self.north, study_claims(self.north, self.south, agreement))
        opened = transfer.request_transfer(
            self.north.connector, agreement.id, signed_study=signed, endpoint="grpc://hub:1"
        )
        space.settle()
        self.opened = self.north.transfer(opened.pid)
        self.count = 0
        for hospital in (self.north, self.south):
            hospital.connector = replace(hospital.connector, decide=ScriptDecide({}))

    def side(self, role: Role) -> tuple[Hospital, Hospital]:
        """Give who holds the process in this role, and the peer."""
        pair = (self.north, self.south)
        return pair if role is Role.CONSUMER else (self.south, self.north)

    def find(self, role: Role, kind: type[Process]) -> Process:
        owner, _ = self.side(role)
        ours = self.asked if kind is Negotiation else self.opened
        pid = ours.pid if role is Role.CONSUMER else ours.peer_pid
        return owner.negotiation(pid) if kind is Negotiation else owner.transfer(pid)

    def put(self, role: Role, kind: type[Process], state: str) -> Process:
        """Bring one side's process into a state, past every rule, with nothing under way."""
        owner, _ = self.side(role)
        process = replace(self.find(role, kind), state=state)
        with owner.database.write() as tx:
            tx.execute(OUTBOX.delete().where(OUTBOX.c.process == process.pid))
            save(tx, process)
        return process

    def send(self, role: Role, process: Process, suffix: str) -> tuple[int, builders.Document]:
        """Let the peer of the side in this role send it a message."""
        owner, peer = self.side(role)
        pids = {role: process.pid, role.other: process.peer_pid}
        path, message = self.message(process, suffix)
        message = builders.with_pids(
            message, provider=pids[Role.PROVIDER], consumer=pids[Role.CONSUMER]
        )
        return peer.post(owner, path, message)

    def message(self, process: Process, suffix: str) -> tuple[str, builders.Document]:
        """Write one message about a process, and the path that it goes to."""
        self.count += 1
        if isinstance(process, Transfer):
            message = {
                "start": builders.transfer_start(),
                "suspension": builders.transfer_suspension("x", "y"),
                "completion": builders.transfer_completion(),
                "termination": builders.transfer_termination("x", "y"),
            }[suffix]
            return f"{BASE}/transfers/{process.pid}/{suffix}", message
        name, _, event = suffix.partition("events/")
        path = f"{BASE}/negotiations/{process.pid}/{name or 'events'}"
        return path, self._n_message(process, suffix, event)

    def _n_message(self, process: Negotiation, suffix: str, event: str) -> builders.Document:
        offer = offer_for(
            policy_of(terms("north"), offer=OfferId(f"urn:uuid:o{self.count}")),
            target=process.dataset,
        )
        agreement = agreement_of(
            offer,
            agreement=AgreementId(f"urn:uuid:a{self.count}"),
            assigner=self.south.me,
            assignee=self.north.me,
            timestamp="2026-11-23T08:00:00Z",
        )
        if event:
            return builders.negotiation_finalized() | {"eventType": event}
        return {
            "request": builders.contract_counter_request(offer),
            "offers": builders.contract_counter_offer(offer),
            "agreement": builders.contract_agreement(agreement),
            "agreement/verification": builders.agreement_verification(),
            "termination": builders.negotiation_termination("x", "y"),
        }[suffix]
