"""What the nouns `negotiation` and `transfer` share: options, lists and one page of a process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from consilium.cli.printing import emit, short_names, show_record, show_rows
from consilium.kernel.errors import InputError

Pid = Annotated[str, typer.Argument(help="Our number of the process, from the list.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="A term that is to differ, as NAME=VALUE; may be repeated."),
]
Code = Annotated[str, typer.Option(help="A short code that the other hospital is told.")]
Reason = Annotated[str, typer.Option(help="Why, in words that the other hospital is told.")]
Role = Annotated[str, typer.Option(help="Only as consumer, or only as provider.")]
State = Annotated[str, typer.Option(help="Only those in this state.")]
Waiting = Annotated[bool, typer.Option("--waiting", help="Only those that wait for us.")]
DECISION = "local.decision"


def read_changes(changes: Sequence[str] | None) -> dict[str, Any]:
    """Read `NAME=VALUE`; a value is JSON, or else a text.

    Raises
    ------
    InputError
        `cli.bad_change`.
    """
    found: dict[str, Any] = {}
    for change in changes or ():
        name, mark, value = change.partition("=")
        if not mark or not name:
            raise InputError("cli.bad_change", change=change[:80])
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def narrow(role: str, state: str, waiting: bool) -> dict[str, str]:
    """Write what a list is narrowed to."""
    return {"role": role, "state": state.upper(), "waits_for": "us" if waiting else ""}


def show_processes(
    title: str, found: Sequence[Mapping[str, Any]], about: str, *, as_json: bool
) -> None:
    """Print a list of processes."""
    if as_json:
        emit(found)
        return
    rows = [
        [
            each["pid"],
            each["role"],
            *short_names(each, "peer"),
            each[about],
            each["state"],
            each["waits_for"],
            (each["stuck"] or {}).get("error", "") or each["code"],
        ]
        for each in found
    ]
    columns = ("pid", "role", "peer", about, "state", "waits for", "reason")
    show_rows(title, columns, rows, empty="None yet.")


def show_process(title: str, record: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one process: where it stands, what it waits for, how it came there."""
    if as_json:
        emit(record)
        return
    apart = {"history", "undelivered", "stuck", "policy"}
    show_record(title, {key: value for key, value in record.items() if key not in apart})
    columns = ("state", "by", "at", "code", "reason")
    steps = [
        [each["state"], each["sender"], each["at"], each["code"], each["reason"]]
        for each in record["history"]
    ]
    show_rows("History", columns, steps)
    if record["undelivered"]:
        columns = ("towards", "tries #", "last error", "next try", "given up")
        rows = [
            [each["wanted"], each["tries"], each["error"], each["due"], each["deadline"]]
            for each in record["undelivered"]
        ]
        show_rows("Not delivered yet", columns, rows)


def show_step(title: str, record: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what came of a step."""
    emit(record) if as_json else show_record(title, record)
