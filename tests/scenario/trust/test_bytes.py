"""What crosses between hospital and hub, and what is kept of it, holds nothing of a patient."""

from __future__ import annotations

import base64
import io
import json
import sqlite3
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from consilium.federation.contract import Cases, Chance, Needs
from consilium.federation.folder import SegmentFolder
from consilium.federation.registry import Recipes
from consilium.gate.orders import peek_study
from consilium.gate.replies import EVALUATE, TRAIN, SiteReply, read_reply
from consilium.kernel.canonical import canonical_bytes
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement
from consilium.models.weights import unpack_arrays

from .canaries import BESIDE, FIGURE, SIGN, WORD, figures_in, forms_of, peel, planted, sightings
from .scene import LEAD, OTHER, ROUNDS, TITLE, Remains

pytestmark = pytest.mark.scenario

NOTE = b'{"__metadata__":{"note":'
LONGEST_LIST = 40
SECRETS = {"keys", "blobs", "ca.key", "log.key"}
"""What belongs to the hospital or the hub alone: keys, and the array files themselves."""


def crossed(remains: Remains) -> dict[str, bytes]:
    """Give what crossed, by hospital and channel, with every coat taken off."""
    return {
        f"{member} {channel} {way}": peel(b"\n".join(getattr(recorder, way)()))
        for member, pair in remains.recorders.items()
        for channel, recorder in zip(("api", "engine"), pair, strict=True)
        for way in ("up", "down")
    }


def kept(remains: Remains) -> dict[str, bytes]:
    """Give every file of every home and every cell of every database, coats off."""
    return {
        str(path.relative_to(remains.home)): peel(_read(path))
        for path in sorted(remains.home.rglob("*"))
        if stat.S_ISREG(path.lstat().st_mode) and not SECRETS & set(path.parts)
    }


def _read(path: Path) -> bytes:
    cells = b"\n".join(_cells(path)) if path.suffix == ".db" else b""
    return path.read_bytes() + b"\n" + cells


def _cells(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in connection.execute(f"SELECT * FROM {table}"):
                yield from (one if isinstance(one, bytes) else str(one).encode() for one in row)


def attempt_of(remains: Remains) -> SegmentFolder:
    [folder] = remains.hub.glob("studies/*/attempt-*")
    return SegmentFolder(folder)


def arrays_of(remains: Remains, member: str) -> dict[str, npt.NDArray[Any]]:
    [blob] = [path for path in remains.node(member).glob("blobs/*/*") if path.is_file()]
    with np.load(blob, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def figures_of(remains: Remains, member: str) -> npt.NDArray[np.float64]:
    """Give every figure that belongs to one patient: cells, scaled cells, predictions."""
    folder, arrays = attempt_of(remains), arrays_of(remains, member)
    plan = peek_study(folder.order().signed_study)
    recipe = Recipes().get(plan.recipe)
    settings = recipe.read_settings(plan.recipe.settings)
    cases = Cases(x=arrays["x"], y=arrays["y"], group=arrays["group"])
    needs = Needs(features=plan.features)
    chance = Chance(seed=plan.seed, participant=ParticipantId(member))
    parts = [cases.take(arrays["part"] == side) for side in (0, 1)]
    prepared = recipe.prepare(parts[0], parts[1], needs=needs, settings=settings, chance=chance)
    found = [arrays["x"].ravel()]
    for model in [unpack_arrays(folder.model(number)) for number in folder.rounds()]:
        for part in (prepared.train, prepared.held_out):
            odds = recipe.predict(part, model, settings, kept={})
            odd = 1 / (1 + np.exp(-odds))
            found += [part.x.ravel(), odds, odd, odd - part.y, -np.log(odd)]
    return np.concatenate(found)


def replies_of(remains: Remains, member: str) -> list[SiteReply]:
    """Find the replies in what a hospital's engine sent."""
    found = []
    for data in remains.recorders[member][1].up():
        place = data.find(NOTE)
        while place >= 0:
            length = int.from_bytes(data[place - 8 : place], "little")
            header = json.loads(data[place : place + length])
            ends = [each["data_offsets"][1] for key, each in header.items() if key[0] != "_"]
            found.append(read_reply(data[place - 8 : place + length + max(ends, default=0)]))
            place = data.find(NOTE, place + 1)
    return found


def lists_in(value: object) -> Iterator[list[Any]]:
    if isinstance(value, dict):
        for each in value.values():
            yield from lists_in(each)
    if isinstance(value, list | tuple):
        yield list(value)
        for each in value:
            yield from lists_in(each)


def test_the_search_finds_what_is_planted_in_any_coat() -> None:
    statement = sign_statement(SigningKey.generate(), "reply", {"told": [WORD, SIGN]})
    relayed = canonical_bytes({"body": base64.b64encode(statement.encode()).decode()})
    deflated = io.BytesIO()
    with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("order.json", relayed)
    coats = {
        "escaped": json.dumps({"name": SIGN, "id": WORD}).encode(),
        "GBK": f"{SIGN},{WORD}".encode("gbk"),
        "statement": statement.encode(),
        "relayed": relayed,
        "deflated": deflated.getvalue(),
    } | {
        f"base64 from {before}": base64.b64encode(bytes(before) + f"{WORD}{SIGN}".encode())
        for before in range(3)
    }
    found = sightings({name: peel(data) for name, data in coats.items()})
    assert found == {name: ["sign", "word"] for name in coats}
    row = np.array([BESIDE, FIGURE, 2.0])
    coded = base64.b64encode(b"yz" + row.tobytes())
    for data in (
        row.tobytes(),
        b"x" + coded,
        str(row[1]).encode(),
    ):
        assert FIGURE in figures_in(peel(data), row)
        assert sightings({"row": peel(data)})


def test_the_recorders_see_everything_in_the_clear(remains: Remains) -> None:
    assert remains.bypasses == []
    data = crossed(remains)
    title = forms_of(TITLE)
    told = {place for place, one in data.items() if any(form in one for form in title)}
    # The lead submits the plan; each hospital gets it from the lead and in the engine's job.
    ways = {f"{LEAD} api up", f"{OTHER} api down", f"{LEAD} engine down", f"{OTHER} engine down"}
    assert told >= ways
    folder = attempt_of(remains)
    for member in (LEAD, OTHER):
        down = data[f"{member} engine down"]
        for number in (0, *folder.rounds()):
            model = folder.model(number) if number else folder.start()
            assert model in down, (member, number)
        up = Counter((reply.kind, reply.round) for reply in replies_of(remains, member))
        assert up == {(TRAIN, n): 1 for n in range(1, ROUNDS + 1)} | {(EVALUATE, ROUNDS): 1}


def test_the_data_that_were_learnt_from_hold_what_is_planted(remains: Remains) -> None:
    for member, code in ((LEAD, "utf-8"), (OTHER, "gbk")):
        source = (remains.home.parent / f"{member}.csv").read_bytes()
        assert WORD.encode() in source
        assert SIGN.encode(code) in source
        assert FIGURE in figures_in(arrays_of(remains, member)["x"].tobytes(), np.array([FIGURE]))
    assert {site.n_train + site.n_test for site in remains.finished.record.sites} == {237}


def test_nothing_planted_crosses_between_hospital_and_hub(remains: Remains) -> None:
    assert sightings(crossed(remains)) == {}


def test_no_figure_of_any_patient_crosses(remains: Remains) -> None:
    everything = b"\n".join(crossed(remains).values())
    for member in (LEAD, OTHER):
        figures = figures_of(remains, member)
        assert len(figures) > 5_000
        assert figures_in(everything, figures) == set()


def test_nothing_planted_is_in_any_message_store_log_or_report(remains: Remains) -> None:
    data = kept(remains)
    names = set(data)
    assert {"hub/hub.db", f"{LEAD}/node.db", f"{OTHER}/node.db"} <= names
    assert {"results/grade.json", "results/grade.html", f"logs/{LEAD}.log"} <= names
    for part in ("console.log", "log.txt", "evaluation.json", "events.jsonl", ".passport"):
        assert any(name.endswith(part) for name in names), part
    # The steward's own quality report names the unknown column, and no cell of it.
    assert sightings(data) == {f"{member}/node.db": ["column"] for member in (LEAD, OTHER)}
    written = forms_of(TITLE)
    places = {name for name, one in data.items() if any(form in one for form in written)}
    assert {"hub/hub.db", f"{LEAD}/node.db", f"{OTHER}/node.db", "results/grade.html"} <= places


def test_no_figure_of_any_patient_is_kept_outside_the_array_files(remains: Remains) -> None:
    everything = b"\n".join(kept(remains).values())
    for member in (LEAD, OTHER):
        assert figures_in(everything, figures_of(remains, member)) == set()


def test_what_leaves_is_a_model_and_figures_about_groups(remains: Remains) -> None:
    folder = attempt_of(remains)
    shapes = {name: array.shape for name, array in unpack_arrays(folder.final()).items()}
    assert shapes == {"bias": (1,), "weight": (4,)}
    for member in (LEAD, OTHER):
        for reply in replies_of(remains, member):
            arrays = {name: array.shape for name, array in reply.arrays.items()}
            assert arrays == (shapes if reply.kind == TRAIN else {})
            for found in lists_in(reply.facts):
                assert len(found) <= LONGEST_LIST
                assert all(isinstance(one, dict) and one["n"] >= 10 for one in found)


def test_a_table_that_is_refused_is_refused_without_its_cells(remains: Remains) -> None:
    [said] = remains.said
    assert said.startswith("readers.")
    assert not any(form in said.encode() for forms in planted().values() for form in forms)
