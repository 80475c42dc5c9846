"""A whole study in one process: plan, keys, engine and folder, for simulated hospitals."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from consilium.federation.contract import Needs
from consilium.federation.folder import SegmentFolder
from consilium.federation.local import LocalEngine
from consilium.federation.local_desk import LocalDesk
from consilium.federation.ports import EngineStatus
from consilium.federation.proposal import default_quorum, layout_of
from consilium.federation.records import StartingPoint
from consilium.federation.registry import Recipes
from consilium.federation.secure import threshold_of
from consilium.gate.orders import Masking, RecipeRef, Study, check_study, sign_study
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import Clock, SystemClock, write_time
from consilium.kernel.errors import NotFoundError, StateError
from consilium.kernel.identifiers import ParticipantId, StudyId, new_urn
from consilium.models.weights import pack_arrays

_LOOK_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStudy:
    """A signed plan over simulated hospitals, and its starting model."""

    plan: Study
    signed: str
    start: bytes
    desks: Mapping[ParticipantId, LocalDesk]

    def run(self, root: Path, *, recipes: Recipes, timeout_s: float = 3600.0) -> SegmentFolder:
        """Run the study on the local engine; return the folder with its rounds and end.

        Raises
        ------
        StateError
            `federation.local_study_failed` when it did not end in time, or ended without a result.

        Discloses
        ---------
        Nothing beyond this process and `root`.
        """
        point = StartingPoint(first_round=1, model=self.start)
        order = point.order(self.signed, segment=1, attempt=1)
        folder = SegmentFolder.create(root / "attempt-00001", order, point)
        engine = LocalEngine(self.desks, recipes=recipes)
        try:
            job = engine.submit(order, self.start, folder.path)
            ends = time.monotonic() + timeout_s
            while engine.status(job) is EngineStatus.RUNNING and time.monotonic() < ends:
                time.sleep(_LOOK_S)
        finally:
            engine.close()
        if not folder.has_ended():
            last = (folder.events() or [{}])[-1]
            raise StateError(
                "federation.local_study_failed", reason=str(last.get("code", "timeout"))
            )
        return folder


def local_study(
    desks: Mapping[ParticipantId, LocalDesk],
    *,
    needs: Needs,
    recipe: str,
    rounds: int,
    recipes: Recipes,
    settings: Mapping[str, Any] | None = None,
    rule: str = "fedavg",
    rule_settings: Mapping[str, Any] | None = None,
    seed: int = 42,
    deadline_s: float = 600.0,
    secure: Masking | None = None,
    clock: Clock | None = None,
) -> LocalStudy:
    """Write and sign a plan over simulated hospitals; the first one leads.

    With `secure` every round is a secure sum.

    Raises
    ------
    NotFoundError
        `federation.no_recipe`.
    InputError
        As recipe and plan say.

    Discloses
    ---------
    Nothing: it makes a plan in this process.
    """
    installed = recipes.find(recipe)
    if installed is None:
        raise NotFoundError("federation.no_recipe", recipe=recipe)
    ref = RecipeRef(
        name=installed.name,
        version=installed.version,
        digest=installed.digest,
        settings=installed.check_settings(settings or {}),
    )
    code, now = recipes.get(ref), (clock or SystemClock()).now()
    arrays = code.initial(needs, code.read_settings(ref.settings), seed=seed)
    start, lead = pack_arrays(arrays), min(desks)
    plan = Study(
        study=StudyId(new_urn()),
        space=lead.split(":")[2],
        title="Simulation",
        question="",
        purpose="simulation",
        lead=lead,
        recipe=ref,
        features=needs.features,
        target=needs.target,
        label="target",
        rule=rule,
        rule_settings=dict(rule_settings or {}),
        start=digest_of(start),
        rounds=rounds,
        quorum=max(default_quorum(len(desks)), threshold_of(len(desks)) if secure else 0),
        deadline_s=deadline_s,
        seed=seed,
        sites=tuple(desks[site].invitation for site in sorted(desks)),
        created=write_time(now),
        expires=write_time(now + timedelta(days=1)),
        layout=layout_of(arrays),
        secure=secure,
    )
    signed = sign_study(desks[lead].key, check_study(plan))
    return LocalStudy(plan=plan, signed=signed, start=start, desks=desks)
