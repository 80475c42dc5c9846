"""A node whose console has something of everything: one finished study and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from console_bench import Browser, ConsoleBench
from dataspace_rehearsal import Hospital
from node_bench import rows
from studies_rehearsal import await_study

from consilium.persons.approvals import request_release
from consilium.persons.queue import ask
from consilium.persons.records import Grant, Role

ELSEWHERE = "urn:uuid:00000000-0000-4000-8000-00000000aaaa"


@dataclass(frozen=True)
class House:
    """A node with one finished study, and an object of every kind about it."""

    console: ConsoleBench
    objects: dict[str, str]

    def limited(self) -> Iterator[Browser]:
        """Sign in every role, limited to another study and to another hospital."""
        for role in Role:
            for grant in (
                Grant(role=role, study=ELSEWHERE),
                Grant(role=role, organisation="did:web:example.org:nowhere"),
            ):
                limit = "study" if grant.study else "organisation"
                yield self.console.signed_in(f"{role} of another {limit}", grant)


def furnish(console: ConsoleBench, south: Hospital, west: Hospital) -> House:
    """Run a study by the console's own routes, and put an item and a request beside it."""
    node = console.node
    draft = {
        "title": "心脏病",
        "purpose": "research",
        "recipe": "tabular-logistic",
        "rounds": 1,
        "invite": [{"participant": site.me, "dataset": "heart"} for site in (south, west)],
    }
    drafted = node.ask("POST", "/drafts", draft).json()
    study = node.ask("POST", "/studies", drafted["draft"]).json()["study"]
    await_study(node.hospital, study)
    node.register(node.save(rows()))
    digest = node.items("/models")[0]["digest"]
    agreements = [one["id"] for one in node.items("/agreements")]
    first = console.person("first", *(Grant(role=role) for role in Role))
    other = console.signed_in("other", Role.STEWARD)
    with console.database.write() as tx:
        item = ask(
            tx,
            kind="agreement",
            subject="urn:uuid:p",
            reason="r",
            due=console.clock.now(),
            role=Role.STEWARD,
            clock=console.clock,
            study=study,
            organisation=south.me,
        )
        release = request_release(
            tx,
            kind="model",
            digest=digest,
            reason="to show it",
            by=first,
            lasts=timedelta(days=30),
            clock=console.clock,
            needed=2,
            study=study,
        )
    objects = {
        "study": study,
        "digest": digest,
        "agreement": agreements[0],
        "other": agreements[1],
        "item": item.id,
        "release": release.id,
        "who": first.id,
        "session": other.get("/sessions").json()["items"][0]["id"],
        "name": "heart",
        "task": "nothing",
        "pid": agreements[0],
        "seq": "1",
    }
    return House(console=console, objects=objects)
