"""Write the table of routes into docs/console-api.md from the console's own table.

Run with `--check` to learn whether the page is up to date.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from fastapi import FastAPI

from consilium.node.app import add_routes
from consilium.node.console.events import events_router
from consilium.node.console.routes import TABLE
from consilium.node.console.sessions_api import sessions_router
from consilium.persons.roles import Action
from consilium.web.guard import Open, Rule

PAGE = Path(__file__).parent.parent / "docs" / "console-api.md"
BEGIN, END = "<!-- routes: made by scripts/console_routes.py -->", "<!-- routes: end -->"
WORDS = {
    Open.ANYBODY: "nobody signed in",
    Open.ANY_PERSON: "whoever is signed in, as far as the roles see",
    Open.HOUSE: "a role without limits",
}


def main() -> int:
    """Write the page, or compare it."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = f"{before}{BEGIN}\n\n{table()}\n{END}{after}"
    if "--check" in sys.argv:
        if page != wanted:
            print("docs/console-api.md is not up to date: run scripts/console_routes.py")
            return 1
        return 0
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


def table() -> str:
    """Give every route that browsers reach, with what it does and what it asks for."""
    told = dict(docstrings())
    lines = ["| Route | What it does | Asks for |", "|---|---|---|"]
    lines += [
        f"| `{method} {path}` | {told.get((method, path), '')} | {say(rule)} |"
        for (method, path), rule in TABLE.items()
    ]
    return "\n".join(lines) + "\n"


def docstrings() -> Iterator[tuple[tuple[str, str], str]]:
    """Give the first line of what each route says of itself."""
    app = FastAPI()
    rooms: Any = MagicMock()
    app.include_router(sessions_router(rooms))
    app.include_router(events_router(rooms))
    add_routes(app, rooms)
    for path, ways in app.openapi()["paths"].items():
        for method, told in ways.items():
            yield (method.upper(), path), told.get("description", "").partition("\n")[0]


def say(rule: Rule) -> str:
    """Say what a route asks for."""
    if isinstance(rule, Open):
        return WORDS[rule]
    if isinstance(rule, Action):
        return f"`{rule}`"
    return f"`{rule.action}` in any scope"


if __name__ == "__main__":
    raise SystemExit(main())
