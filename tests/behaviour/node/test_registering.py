"""Connecting a dataset over the node's API: an offer comes of it, or nothing at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node_bench import CANARY, HEADER, SCHEMA, NodeBench, governance, rows, terms
from studies_rehearsal import RECIPES, StudySpace, wait_until

from consilium.kernel.canonical import digest_of
from consilium.node.registration import Registrar

pytestmark = pytest.mark.slow

Damage = Callable[[NodeBench], Path]


def test_a_registered_dataset_has_its_row_its_offer_its_file_and_its_evidence(
    node: NodeBench,
) -> None:
    source = node.save(rows())
    task = node.register(source)
    assert (task["state"], task["error"]) == ("done", None)
    assert task["progress"]["done"] == 1.0
    dataset = task["result"]
    (listed,) = node.items("/datasets")
    shown = node.get("/datasets/heart")
    assert dataset == listed
    assert dataset | {"budget": shown["budget"]} == {name: shown[name] for name in dataset}
    assert (dataset["n_train"] + dataset["n_test"], dataset["public"]) == (60, False)
    assert dataset["fingerprint"] == digest_of(source.read_bytes())
    assert dataset["terms"]["algorithms"] == [RECIPES.digests["tabular-logistic"]]
    assert dataset["title"] == "心脏病"
    assert node.hospital.kinds() == ["dataset.registered", "offer.published"]
    (file,) = node.array_files()
    assert digest_of(file.read_bytes()) == dataset["arrays"]
    assert file.stat().st_mode & 0o077 == 0
    with np.load(file, allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["group", "part", "x", "y"]
    assert list(node.workshop.iterdir()) == []
    assert CANARY not in json.dumps(node.items("/evidence", after=0)) + json.dumps(dataset)


def test_a_gbk_file_with_a_chinese_schema_is_taken_in(node: NodeBench) -> None:
    source = node.home / "病例.csv"
    lines = [line.replace(",f,", ",女,").replace(",m,", ",男,") for line in rows()]
    source.write_bytes("\n".join([HEADER, *lines]).encode("gbk"))
    schema = SCHEMA.replace('["f", "m"]', '["女", "男"]')
    task = node.register(source, schema=schema, schema_name="模式.toml")
    assert task["state"] == "done", task["error"]
    codes = [warning["code"] for warning in task["result"]["quality"]["warnings"]]
    assert "readers.warn_encoding_guessed" in codes


def missing(node: NodeBench) -> Path:
    return node.home / "gone.csv"


def a_folder(node: NodeBench) -> Path:
    return node.home


def empty(node: NodeBench) -> Path:
    path = node.home / "empty.csv"
    path.touch()
    return path


def wrong_columns(node: NodeBench) -> Path:
    return node.save(rows(), header=HEADER.replace("age", "alter"))


def wrong_types(node: NodeBench) -> Path:
    return node.save([f"p{number},{CANARY},f,ill" for number in range(40)])


def broken_encoding(node: NodeBench) -> Path:
    path = node.save(rows())
    path.write_bytes(path.read_bytes() + f"{CANARY},40,\xe9\xff".encode("latin-1") + b"\x81\n")
    return path


def test_one_class_only_is_a_named_warning(node: NodeBench) -> None:
    lines = [f"{CANARY}-{number},40,f,ill" for number in range(40)]
    task = node.register(node.save(lines))
    assert task["state"] == "done", task["error"]
    codes = [warning["code"] for warning in task["result"]["quality"]["warnings"]]
    assert "readers.warn_one_class" in codes


SOURCES: dict[Damage, str] = {
    missing: "readers.no_file",
    a_folder: "readers.unreadable_file",
    empty: "readers.empty_file",
    wrong_columns: "readers.wrong_columns",
    wrong_types: "readers.wrong_types",
    broken_encoding: "readers.broken_encoding",
}


@pytest.mark.parametrize("damage", SOURCES, ids=lambda one: one.__name__)
def test_a_bad_source_gives_one_sentence_and_leaves_nothing(
    node: NodeBench, damage: Damage
) -> None:
    task = node.register(damage(node))
    assert (task["state"], task["result"]) == ("failed", None)
    error = task["error"]
    assert error["code"] == SOURCES[damage]
    assert "\n" not in error["en"]
    assert error["zh"]
    assert CANARY not in json.dumps(task)
    node.check_nothing_left()


@pytest.mark.parametrize("schema", ["no toml [", SCHEMA.replace("[label]", "[lable]")])
def test_a_bad_schema_gives_one_sentence_and_leaves_nothing(node: NodeBench, schema: str) -> None:
    task = node.register(node.save(rows()), schema=schema, schema_name="clinic.toml")
    assert task["error"]["code"].startswith("readers.schema")
    assert "clinic.toml" in task["error"]["en"]
    node.check_nothing_left()


REQUESTS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"path": None}, 400, "boundary.malformed", "path"),
    ({"path": 7}, 400, "boundary.malformed", "path"),
    ({"path": "hearts.csv"}, 400, "node.path_not_whole", "`/`"),
    ({"schema": None}, 400, "boundary.malformed", "schema"),
    ({"colour": CANARY}, 400, "boundary.malformed", "colour"),
    ({"public": "perhaps"}, 400, "boundary.malformed", "public"),
    ({"title": "x" * 401}, 400, "boundary.malformed", "title"),
    ({"name": "Herz Daten"}, 400, "kernel.bad_name", "'Herz Daten'"),
    ({"name": "../heart"}, 400, "kernel.bad_name", "../heart"),
    ({"governance": {}}, 400, "dataspace.bad_governance", "'ethics_approval'"),
    ({"governance": governance(owner=None)}, 400, "dataspace.bad_governance", "'owner'"),
    ({"governance": governance(owner=7)}, 400, "dataspace.bad_governance", "'owner'"),
    ({"governance": governance(colour=1)}, 400, "dataspace.bad_governance", "'colour'"),
    (
        {"governance": governance(ethics_expires="soon")},
        400,
        "dataspace.bad_governance",
        "'ethics_expires'",
    ),
    ({"terms": []}, 400, "boundary.malformed", "terms"),
    ({"terms": terms(colour=1)}, 400, "dataspace.bad_terms", "'colour'"),
    ({"terms": terms(count=None)}, 400, "dataspace.bad_terms", "'count'"),
    ({"terms": terms(count=0)}, 400, "dataspace.bad_terms", "'count'"),
    ({"terms": terms(count="many")}, 400, "dataspace.bad_terms", "'count'"),
    ({"terms": terms(max_rounds=-1)}, 400, "dataspace.bad_terms", "'max_rounds'"),
    ({"terms": terms(purposes=[])}, 400, "dataspace.bad_terms", "'purposes'"),
    ({"terms": terms(purposes="research")}, 400, "dataspace.bad_terms", "'purposes'"),
    ({"terms": terms(recipients=["north"])}, 400, "dataspace.bad_terms", "'recipients'"),
    ({"terms": terms(not_after="tomorrow")}, 400, "dataspace.bad_terms", "'not_after'"),
    ({"terms": terms(algorithms=["magic"])}, 400, "dataspace.bad_terms", "'algorithms'"),
    ({"terms": terms(algorithms="tabular-logistic")}, 400, "dataspace.bad_terms", "'algorithms'"),
    ({"terms": terms(algorithms=[{"a": 1}])}, 400, "dataspace.bad_terms", "'algorithms'"),
    ({"terms": terms(algorithms=7)}, 400, "dataspace.bad_terms", "'algorithms'"),
]


def test_a_bad_request_is_refused_at_once_with_the_field_and_no_reader_starts(
    node: NodeBench,
) -> None:
    source = node.save(rows())
    for changes, status, code, told in REQUESTS:
        answer = node.ask("POST", "/datasets", node.registration(source, **changes))
        record = answer.json()
        assert (answer.status_code, record["code"]) == (status, code), changes
        assert told in record["en"], changes
        assert record["zh"]
        assert CANARY not in answer.text
    node.check_nothing_left()


def test_a_name_that_is_taken_is_refused_before_anything_is_read(node: NodeBench) -> None:
    source = node.save(rows())
    node.register(source)
    answer = node.ask("POST", "/datasets", node.registration(source))
    assert (answer.status_code, answer.json()["code"]) == (409, "dataspace.dataset_exists")
    assert len(node.items("/datasets")) == 1


def test_of_two_registrations_at_once_under_one_name_one_becomes_the_dataset(
    node: NodeBench,
) -> None:
    first = node.save(rows())
    second = node.save(rows(80), name="other.csv")
    answers = [
        node.ask("POST", "/datasets", node.registration(source)) for source in (first, second)
    ]
    tasks = [node.wait(one.json()) for one in answers if one.status_code == 200]
    codes = [one.json()["code"] for one in answers if one.status_code != 200]
    codes += [task["error"]["code"] for task in tasks if task["error"]]
    assert codes == ["node.dataset_under_way"]
    (dataset,) = node.items("/datasets")
    assert dataset["fingerprint"] == digest_of(first.read_bytes())
    assert len(node.array_files()) == 1
    assert node.hospital.kinds() == ["dataset.registered", "offer.published"]


def test_a_name_is_free_again_after_a_registration_that_failed(node: NodeBench) -> None:
    assert node.register(missing(node))["state"] == "failed"
    assert node.register(node.save(rows()))["state"] == "done"


def test_two_datasets_of_the_same_rows_share_their_array_file(node: NodeBench) -> None:
    source = node.save(rows())
    answers = [
        node.ask("POST", "/datasets", node.registration(source, name=name)).json()
        for name in ("heart", "heart-again")
    ]
    assert [node.wait(task)["state"] for task in answers] == ["done", "done"]
    one, other = node.items("/datasets")
    assert (one["arrays"], one["id"]) == (other["arrays"], one["id"])
    assert one["offer"] != other["offer"]
    assert len(node.array_files()) == 1


def test_a_reader_that_is_killed_midway_leaves_nothing(node: NodeBench) -> None:
    source = node.home / "large.csv"
    block = "\n".join(rows(2_000)) + "\n"
    source.write_text(f"{HEADER}\n" + block * 300)
    answer = node.ask("POST", "/datasets", node.registration(source))
    wait_until(lambda: list(node.workshop.glob("*/*")) and node.intakes())
    (reader,) = node.intakes()
    reader.kill()
    task = node.wait(answer.json())
    assert task["error"]["code"] == "node.intake_broke"
    assert "exit code -9" in task["error"]["en"]
    node.check_nothing_left()
    assert node.register(node.save(rows()))["state"] == "done"


def test_a_registration_whose_evidence_cannot_be_written_leaves_nothing(node: NodeBench) -> None:
    with node.hospital.database.write() as tx:
        tx.connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON evidence "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    task = node.register(node.save(rows()))
    assert task["error"]["code"] == "boundary.broken"
    node.check_nothing_left()


def test_a_failure_at_the_end_keeps_the_array_file_of_another_dataset(node: NodeBench) -> None:
    source = node.save(rows())
    node.register(source)
    with node.hospital.database.write() as tx:
        tx.connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON evidence "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    assert node.register(source, name="heart-again")["state"] == "failed"
    assert len(node.array_files()) == 1


def test_a_workshop_that_cannot_be_made_is_told(node: NodeBench) -> None:
    node.workshop.write_text("a file stands here")
    task = node.register(node.save(rows()))
    assert task["error"]["code"] == "ledger.cannot_write"
    assert node.items("/datasets") == []


def test_what_a_killed_node_left_in_its_workshop_is_removed_at_the_next_start(
    node: NodeBench,
) -> None:
    left = node.workshop / "tmpabc" / "intake-1"
    left.mkdir(parents=True)
    (left / "source.csv").write_text(CANARY)
    node.registrar.tidy()
    assert list(node.workshop.iterdir()) == []


def test_a_workshop_that_is_not_there_needs_no_tidying(world: StudySpace, node: NodeBench) -> None:
    registrar: Registrar = node.registrar
    registrar.tidy()
    assert not node.workshop.exists()


def test_further_terms_and_a_budget_of_its_own_are_kept(node: NodeBench) -> None:
    further = {"epsilon": 1.5, "outputs": ["aggregate", "model"], "spatial": ["CN"]}
    task = node.register(node.save(rows()), terms=terms(**further), budget={"epsilon": 20})
    assert task["state"] == "done", task["error"]
    dataset = node.get("/datasets/heart")
    nothing = {"epsilon": 0, "delta": 0}
    assert dataset["budget"] == {"epsilon": 20, "delta": 0.0001, "spent": nothing}
    assert {name: dataset["terms"][name] for name in further} == further
    assert dataset["terms"]["secure_aggregation"] is None
    (budget,) = node.get("/budgets")["datasets"]
    assert (budget["epsilon"], budget["spent_epsilon"], budget["left_epsilon"]) == (20, 0, 20)
    assert node.get("/budgets")["agreements"] == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"budget": {"epsilon": 0}}, "dataspace.bad_budget"),
        ({"budget": {"rounds": 1}}, "dataspace.bad_budget"),
        ({"terms": terms(epsilon="2")}, "dataspace.bad_terms"),
        ({"terms": terms(epsilon=-1.0)}, "dataspace.bad_terms"),
        ({"terms": terms(delta=1e-5)}, "dataspace.bad_terms"),
        ({"terms": terms(epsilon=1.0, delta=1.0)}, "dataspace.bad_terms"),
        ({"terms": terms(outputs=["rows"])}, "dataspace.bad_terms"),
        ({"terms": terms(outputs="model")}, "dataspace.bad_terms"),
        ({"terms": terms(spatial=["China"])}, "dataspace.bad_terms"),
        ({"terms": terms(secure_aggregation=1)}, "dataspace.bad_terms"),
        ({"terms": terms(min_participants=0)}, "dataspace.bad_terms"),
    ],
)
def test_impossible_further_terms_are_refused_before_the_data_are_opened(
    node: NodeBench, change: dict[str, Any], code: str
) -> None:
    answer = node.ask("POST", "/datasets", node.registration(node.save(rows()), **change))
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert node.items("/datasets") == []
