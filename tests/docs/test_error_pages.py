"""Each error code has a page, and the page says what the code says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_error_pages_are_up_to_date() -> None:
    run = subprocess.run(
        [sys.executable, "scripts/error_pages.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
