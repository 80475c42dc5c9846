"""Makes the rehearsal of `tests/behaviour/federation` and our benchmarks importable here."""

import sys
from pathlib import Path

_TESTS = next(place for place in Path(__file__).parents if place.name == "tests")
sys.path.insert(0, str(_TESTS / "behaviour" / "federation"))
# A package of the same name comes with a dependency: ours goes first.
sys.path.insert(0, str(_TESTS.parent))
