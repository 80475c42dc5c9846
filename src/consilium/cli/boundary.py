"""The one boundary of the command line: every failure becomes one sentence and an exit code.

People never see a traceback; what was unexpected goes into a log whose place
is told. `CONSILIUM_DEBUG=1` shows it after all.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import typer

from consilium.cli.language import language_of
from consilium.kernel.errors import ConsiliumError, texts

USAGE_EXIT = 2
INTERRUPTED_EXIT = 130
BROKEN_EXIT = 1
LOG = "last-failure.log"


def run_app(build: Callable[[], typer.Typer], arguments: Sequence[str]) -> int:
    """Build and run the command line; return its exit code.

    Exit codes: 0 done; 2 to 8 by the error's family (`kernel.errors`); 130
    stopped by the person; 1 something unexpected.
    """
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _interrupt)
    try:
        # Typer turns Ctrl-C into the exit code that it returns here.
        code = build()(args=list(arguments), prog_name="consilium", standalone_mode=False)
        if code == INTERRUPTED_EXIT:
            _say("cli.interrupted")
        return code if isinstance(code, int) else 0
    except ConsiliumError as error:
        return _tell(error)
    except KeyboardInterrupt:
        _say("cli.interrupted")
        return INTERRUPTED_EXIT
    except typer.TyperException as error:
        return _tell_usage(error)
    except typer.Abort:
        return INTERRUPTED_EXIT
    except BrokenPipeError:
        # The reader of our output left, as `| head` does.
        sys.stdout = None
        return 0
    except Exception as error:  # noqa: BLE001  (the request boundary of the command line)
        return _tell_broken(error)


def _interrupt(number: int, frame: object) -> NoReturn:  # noqa: ARG001  (the form of a handler)
    raise KeyboardInterrupt


def _tell(error: ConsiliumError) -> int:
    language = language_of(os.environ)
    typer.echo(f"{error.text(language)} [{error.code}]", err=True)
    if error.detail and error.code.startswith("space."):
        # The last lines of a log on this machine, or what each hospital answered.
        typer.echo(error.facts.get(f"detail_{language}", error.detail), err=True)
    return error.exit_code


def _tell_usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "consilium"
    message = error.format_message().strip()
    if not message:
        # No verb was given; Typer has printed the help already.
        return USAGE_EXIT
    message = message if message[-1] in ".?!" else f"{message}."
    _say("cli.usage", message=message, command=command)
    return USAGE_EXIT


def _tell_broken(error: Exception) -> int:
    if os.environ.get("CONSILIUM_DEBUG") == "1":
        traceback.print_exception(error)
    _say("cli.broken", kind=type(error).__name__, log=_keep(error))
    return BROKEN_EXIT


def _keep(error: Exception) -> str:
    """Write the traceback into a log and return its place."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    path = Path(state) / "consilium" / LOG
    words = "".join(traceback.format_exception(error))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(f"{datetime.now(UTC).isoformat()}\n{words}", encoding="utf-8")
        path.chmod(0o600)
    except OSError:
        return "CONSILIUM_DEBUG=1"
    return str(path)


def _say(code: str, **facts: object) -> None:
    words = str(texts()[code][language_of(os.environ)]).format(**facts)
    typer.echo(f"{words} [{code}]", err=True)
