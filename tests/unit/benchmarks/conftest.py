"""Makes the benchmarks importable here: they lie beside the package, not in it."""

import sys
from pathlib import Path

_ROOT = next(place.parent for place in Path(__file__).parents if place.name == "tests")
sys.path.insert(0, str(_ROOT))
