"""`consilium transfer`: opening studies under agreements, pausing, resuming and ending them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.steering import (
    DECISION,
    Code,
    Pid,
    Reason,
    Role,
    State,
    Waiting,
    narrow,
    show_process,
    show_processes,
    show_step,
)
from consilium.space.client import connect

app = typer.Typer()


@app.command("list")
def list_transfers(
    role: Role = "",
    state: State = "",
    waiting: Waiting = False,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """List transfers, the newest first, with what each waits for."""
    with connect(home) as node:
        found = node.transfers.list(**narrow(role, state, waiting))
    show_processes("Transfers", found, "study", as_json=as_json)


@app.command()
def show(pid: Pid, home: Home = HERE, as_json: AsJson = False) -> None:
    """Show one transfer: its history, what it waits for, and why it is stuck."""
    with connect(home) as node:
        record = node.transfers.get(pid)
    show_process("Transfer", record, as_json=as_json)


@app.command()
def request(
    agreement: Annotated[str, typer.Argument(help="Identifier of the agreement.")],
    study: Annotated[Path, typer.Option(help="File with the signed study.")],
    endpoint: Annotated[str, typer.Option(help="Address of the aggregator.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Open a signed study under an agreement, as consumer."""
    with connect(home) as node:
        record = node.transfers.request(agreement, study=study, endpoint=endpoint)
    show_step("Transfer", record, as_json=as_json)


@app.command()
def start(pid: Pid, home: Home = HERE, as_json: AsJson = False) -> None:
    """Start a transfer, as provider."""
    with connect(home) as node:
        record = node.transfers.start(pid)
    show_step("Transfer", record, as_json=as_json)


@app.command()
def suspend(
    pid: Pid,
    reason: Reason = "",
    code: Code = DECISION,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Pause a transfer: no data are opened until it is resumed."""
    with connect(home) as node:
        record = node.transfers.suspend(pid, code=code, reason=reason)
    show_step("Transfer", record, as_json=as_json)


@app.command()
def resume(pid: Pid, home: Home = HERE, as_json: AsJson = False) -> None:
    """Let a suspended transfer go on."""
    with connect(home) as node:
        record = node.transfers.resume(pid)
    show_step("Transfer", record, as_json=as_json)


@app.command()
def complete(pid: Pid, home: Home = HERE, as_json: AsJson = False) -> None:
    """Complete a transfer."""
    with connect(home) as node:
        record = node.transfers.complete(pid)
    show_step("Transfer", record, as_json=as_json)


@app.command()
def terminate(
    pid: Pid,
    reason: Reason = "",
    code: Code = DECISION,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """End a transfer; it cannot start again."""
    with connect(home) as node:
        record = node.transfers.terminate(pid, code=code, reason=reason)
    show_step("Transfer", record, as_json=as_json)
