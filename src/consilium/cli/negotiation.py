"""`consilium negotiation`: from an offer to an agreement, step by step, in either role."""

from __future__ import annotations

from typing import Annotated

import typer

from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.steering import (
    DECISION,
    Changes,
    Code,
    Pid,
    Reason,
    Role,
    State,
    Waiting,
    narrow,
    read_changes,
    show_process,
    show_processes,
    show_step,
)
from consilium.space.client import connect
from consilium.space.offers import full_id

app = typer.Typer()
Participant = Annotated[str, typer.Argument(help="The hospital's short name or identifier.")]


@app.command("list")
def list_negotiations(
    role: Role = "",
    state: State = "",
    waiting: Waiting = False,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """List negotiations, the newest first, with what each waits for."""
    with connect(home) as node:
        found = node.negotiations.list(**narrow(role, state, waiting))
    show_processes("Negotiations", found, "dataset", as_json=as_json)


@app.command()
def show(pid: Pid, home: Home = HERE, as_json: AsJson = False) -> None:
    """Show one negotiation: its history, what it waits for, and why it is stuck."""
    with connect(home) as node:
        record = node.negotiations.get(pid)
    show_process("Negotiation", record, as_json=as_json)


@app.command()
def request(
    participant: Participant,
    dataset: Annotated[str, typer.Argument(help="Name of its dataset.")],
    changes: Changes = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Ask a hospital for an agreement, on its terms or on others, and do not wait."""
    with connect(home) as node:
        member = full_id(participant, space=str(node.status()["space"]))
        terms = read_changes(changes)
        record = node.negotiations.request(member, dataset=dataset, terms=terms)
    show_step("Negotiation", record, as_json=as_json)


@app.command()
def offer(
    participant: Participant,
    dataset: Annotated[str, typer.Argument(help="Name of our dataset.")],
    changes: Changes = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Offer a hospital an agreement on one of our datasets."""
    with connect(home) as node:
        member = full_id(participant, space=str(node.status()["space"]))
        terms = read_changes(changes)
        record = node.negotiations.offer(member, dataset=dataset, terms=terms)
    show_step("Negotiation", record, as_json=as_json)


@app.command()
def counter(pid: Pid, changes: Changes = None, home: Home = HERE, as_json: AsJson = False) -> None:
    """Answer the other hospital with other terms."""
    with connect(home) as node:
        record = node.negotiations.counter(pid, terms=read_changes(changes))
    show_step("Negotiation", record, as_json=as_json)


@app.command()
def accept(pid: Pid, home: Home = HERE, as_json: AsJson = False) -> None:
    """Accept the provider's offer, as consumer."""
    with connect(home) as node:
        record = node.negotiations.accept(pid)
    show_step("Negotiation", record, as_json=as_json)


@app.command()
def agree(pid: Pid, home: Home = HERE, as_json: AsJson = False) -> None:
    """Agree to what is on the table, as provider."""
    with connect(home) as node:
        record = node.negotiations.agree(pid)
    show_step("Negotiation", record, as_json=as_json)


@app.command()
def verify(pid: Pid, home: Home = HERE, as_json: AsJson = False) -> None:
    """Verify the agreement, as consumer."""
    with connect(home) as node:
        record = node.negotiations.verify(pid)
    show_step("Negotiation", record, as_json=as_json)


@app.command()
def finalize(pid: Pid, home: Home = HERE, as_json: AsJson = False) -> None:
    """Finalise the agreement, as provider."""
    with connect(home) as node:
        record = node.negotiations.finalize(pid)
    show_step("Negotiation", record, as_json=as_json)


@app.command()
def terminate(
    pid: Pid,
    reason: Reason = "",
    code: Code = DECISION,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """End a negotiation and tell the other hospital why."""
    with connect(home) as node:
        record = node.negotiations.terminate(pid, code=code, reason=reason)
    show_step("Negotiation", record, as_json=as_json)
