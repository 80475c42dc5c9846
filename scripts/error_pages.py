"""Write docs/errors/ from the sentences of the house: one page per code, and an index.

Run with `--check` to learn whether the pages are up to date.
"""

import sys
from pathlib import Path

from consilium.kernel.errors import FAMILIES, texts

FOLDER = Path(__file__).parent.parent / "docs" / "errors"

PAGE = """# {code}

| | |
|---|---|
| Family | `{family}` ({name}) |
| Exit code | {exit} |
| HTTP status | {http} |

**English.** {en}

**中文。** {zh}

## Why it happens

{why}
"""

NOTE = """# {code}

A {family}: it is told beside a result and stops nothing.

**English.** {en}

**中文。** {zh}

## Why it happens

{why}
"""

INDEX = """# Errors

Every error has a stable code and two sentences, English and Chinese; each says what happened and
what to do. They hold identifiers and counts, never a patient value. The exit code follows the
family. Codes of the families `warning`, `reason` and `finding` are told beside a result and stop
nothing.

| Code | Family | Exit | |
|---|---|---|---|
{rows}
"""


def pages() -> dict[str, str]:
    """Render every page by file name."""
    found = {}
    rows = []
    for code, entry in sorted(texts().items()):
        kind = FAMILIES.get(entry["family"])
        if kind is None:  # a warning or a reason: told beside a result, never raised
            found[f"{code}.md"] = NOTE.format(code=code, **entry)
        else:
            found[f"{code}.md"] = PAGE.format(
                code=code, name=kind.__name__, exit=kind.exit_code, http=kind.http_status, **entry
            )
        number = "–" if kind is None else kind.exit_code
        rows.append(f"| [{code}]({code}.md) | {entry['family']} | {number} | {entry['en']} |")
    return found | {"README.md": INDEX.format(rows="\n".join(rows))}


def main() -> None:
    """Write the pages, or compare them."""
    wanted = pages()
    present = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    if "--check" in sys.argv:
        sys.exit(
            0 if present == wanted else "docs/errors is out of date: run scripts/error_pages.py"
        )
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in present.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
