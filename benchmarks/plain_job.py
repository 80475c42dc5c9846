"""Submit the study to a running FLARE deployment, as FLARE's own recipe page shows it.

A process of its own, because FLARE's session keeps threads. It imports first,
says so, and begins at each line on its standard input, so that the time of its
imports is charged to nobody. Each run's times go out as one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from nvflare.app_common.np.recipes.fedavg import NumpyFedAvgRecipe
from nvflare.recipe.prod_env import ProdEnv

SCRIPT = Path(__file__).with_name("plain_train.py")


def main() -> None:
    """Run the study once for each line that comes in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--admin", required=True, help="folder of the administrator's kit")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the sites' arrays")
    given = parser.parse_args()
    out = sys.stdout
    say(out, {"ready": True})
    for _ in sys.stdin:
        with redirect_stdout(sys.stderr):
            marks = run(given.admin, given.folder)
        say(out, marks)


def run(admin: str, folder: Path) -> dict[str, Any]:
    """Run the study once; FLARE's defaults wherever it has one."""
    study = json.loads((folder / "study.json").read_text())
    marks: dict[str, Any] = {"command": time.time()}
    recipe = NumpyFedAvgRecipe(
        name="side_by_side",
        model=[0.0] * (study["features"] + 1),
        min_clients=study["sites"],
        num_rounds=study["rounds"],
        train_script=str(SCRIPT),
        train_args=f"--folder {folder}",
    )
    environment = ProdEnv(startup_kit_location=admin, username=Path(admin).name)
    running = recipe.execute(environment)
    marks["submitted"] = time.time()
    result = running.get_result()
    marks["finished"] = time.time()
    return marks | {"status": running.get_status(), "result": result}


def say(out: TextIO, facts: dict[str, Any]) -> None:
    """Write one JSON line."""
    out.write(json.dumps(facts) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
