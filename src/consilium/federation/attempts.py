"""Where a study's attempts lie at the hub: one folder for the study, one below for each attempt."""

from __future__ import annotations

from pathlib import Path

from consilium.federation.folder import SegmentFolder
from consilium.gate.orders import Study


def study_folder(root: Path, plan: Study) -> Path:
    """Name a study's folder by its plan's digest: safe in paths, the same after a restart."""
    return root / plan.digest.removeprefix("sha256:")[:16]


def attempt_folder(folder: Path, attempt: int) -> Path:
    """Name the folder of one attempt in its study's."""
    return folder / f"attempt-{attempt:05d}"


def list_attempts(folder: Path) -> list[SegmentFolder]:
    """Return the folders of a study's attempts, oldest first."""
    return [SegmentFolder(path) for path in sorted(folder.glob("attempt-*"))]
