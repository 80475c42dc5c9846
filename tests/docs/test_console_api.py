"""The page of the console's interface names every route."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_table_of_routes_is_up_to_date() -> None:
    run = subprocess.run(
        [sys.executable, "scripts/console_routes.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
