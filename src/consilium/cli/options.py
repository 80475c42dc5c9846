"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="CONSILIUM_HOME",
        help="Folder of the node or hub; the working folder if not given.",
    ),
]
"""Where the process that is asked lives."""
AsJson = Annotated[bool, typer.Option("--json", help="Print records as JSON.")]
HERE = Path()
