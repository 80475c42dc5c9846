"""Who speaks: name and password at the terminal.

A password is typed at a prompt or read from a file that its owner alone can
read. It is never an argument: every user of the machine sees those.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.language import language_of
from consilium.kernel.errors import InputError

As = Annotated[
    str, typer.Option("--as", envvar="CONSILIUM_PERSON", help="Who you are: your account's name.")
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="File with your password, readable by you alone; asked for otherwise."),
]
NewPasswordFile = Annotated[
    Path | None,
    typer.Option(help="File with the new password, readable by you alone; asked for otherwise."),
]
Reason = Annotated[str, typer.Option(help="Why; kept as evidence.")]
_ASK = {"en": "Password of {name}", "zh": "{name} 的密码"}
_ASK_NEW = {"en": "New password of {name}", "zh": "{name} 的新密码"}
_MOST_BYTES = 4096


def speaker(name: str, file: Path | None) -> tuple[str, str]:
    """Return name and password of whoever speaks; the password is asked for if no file is named.

    Raises
    ------
    InputError
        `persons.no_password`.
    """
    return name, _password(file, _ASK, name=name, twice=False)


def new_password(name: str, file: Path | None) -> str:
    """Return a new password, asked for twice if no file is named; raises as `speaker` does."""
    return _password(file, _ASK_NEW, name=name, twice=True)


def _password(file: Path | None, words: dict[str, str], *, name: str, twice: bool) -> str:
    if file is not None:
        return _read(file)
    if not sys.stdin.isatty():
        raise InputError("persons.no_password")
    words_here = words[language_of(os.environ)].format(name=name)
    return str(typer.prompt(words_here, hide_input=True, confirmation_prompt=twice, err=True))


def _read(file: Path) -> str:
    """Read the first line of a file that nobody else can read."""
    try:
        with file.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            text = stream.read(_MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("persons.no_password") from error
    lines = text.splitlines()
    if mode & 0o077 or not lines or not lines[0]:
        raise InputError("persons.no_password")
    return lines[0]
