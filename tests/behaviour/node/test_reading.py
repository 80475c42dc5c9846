"""What screens read of a node, and the way from an empty browser to a finished study."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from dataspace_rehearsal import Hospital
from node_bench import CANARY, SCHEMA, NodeBench, governance, rows, terms
from studies_rehearsal import StudySpace, await_study, own_terms, study_events

pytestmark = pytest.mark.slow

RECIPE = "tabular-logistic"


def answers(*sites: Hospital, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "title": "心脏病",
        "purpose": "research",
        "recipe": RECIPE,
        "rounds": 2,
        "invite": [{"participant": site.me, "dataset": "heart"} for site in sites],
    }
    return found | changes


def test_the_catalogue_is_searched_across_hospitals_in_pages(
    world: StudySpace, node: NodeBench, south: Hospital, west: Hospital
) -> None:
    absent = world.space.add("absent")
    del world.space.doors[absent.me]
    first = node.get("/catalog", limit=1)
    assert (first["total"], len(first["items"])) == (2, 1)
    (one,) = first["items"]
    assert (one["participant"], one["title"], one["name"]) == (south.me, "Hospital south", "heart")
    assert (one["rows_band"], one["access"], one["mine"]) == ("50–99", "restricted", False)
    assert {field["name"] for field in one["fields"]} == {"age", "sex"}
    assert one["offers"][0]["words"][0]["zh"]
    assert [each["participant"] for each in first["unreachable"]] == [absent.me]
    (other,) = node.get("/catalog", limit=1, cursor=first["next"])["items"]
    assert other["participant"] == west.me
    assert node.get("/catalog", search="AGE west")["items"] == [other]
    assert node.get("/catalog", search="kidney")["items"] == []
    assert node.get("/catalog", modality="image")["items"] == []


def test_a_cohort_names_who_fits_and_why_others_do_not(
    world: StudySpace, node: NodeBench, south: Hospital, west: Hospital
) -> None:
    closed = world.add("closed")
    world.add_data(closed, terms=own_terms("north", algorithms=("sha256:" + "0" * 64,)))
    found = node.ask("POST", "/cohorts", {"recipe": RECIPE, "target": "", "fields": []}).json()
    fits = {one["participant"]: one["datasets"][0] for one in found["items"]}
    assert (found["fitting"], found["label"]) == (2, "outcome")
    assert found["fields"] == ["age", "sex"]
    assert [fits[site.me]["fits"] for site in (south, west, closed)] == [True, True, False]
    assert fits[closed.me]["why"]["code"] == "console.recipe_not_allowed"
    assert fits[closed.me]["why"]["zh"]
    found = node.ask("POST", "/cohorts", {"recipe": RECIPE, "fields": ["height"]}).json()
    assert found["fitting"] == 0
    refused = node.ask("POST", "/cohorts", {"recipe": "magic"})
    assert (refused.status_code, refused.json()["code"]) == (400, "console.no_recipe")


def test_answers_become_a_study_that_is_watched_to_its_end(
    node: NodeBench, south: Hospital, west: Hospital
) -> None:
    drafted = node.ask("POST", "/drafts", answers(south, west)).json()
    assert drafted["flaws"] == []
    study = node.ask("POST", "/studies", drafted["draft"]).json()["study"]
    await_study(node.hospital, study)
    run = node.get(f"/studies/{study}/run")
    assert (run["state"], run["phase"], run["round"], run["rounds"]) == ("COMPLETED", "ended", 2, 2)
    assert (run["waiting_for"], run["eta_s"], run["reason"]) == ([], None, None)
    assert [one["phase"] for one in run["sites"]] == ["done", "done"]
    for site in run["sites"]:
        assert site["title"].startswith("Hospital ")
        assert (site["rounds_done"], site["error"], site["epsilon_spent"]) == (2, None, 0.0)
        assert min(site["bytes_up"], site["bytes_down"]) > 100
        assert [point[0] for point in site["loss"]] == [0, 1]
        assert site["last_heard"]
    assert len(run["loss"]) == 2
    kinds = [event["kind"] for event in run["log"]]
    assert {"invited", "agreed", "answered", "presence", "round_closed"} <= set(kinds)
    assert node.get(f"/studies/{study}/run") == run
    (row,) = node.items("/studies")
    assert (row["round"], row["rounds"], row["sites"], row["recipe"]) == (2, 2, 2, RECIPE)
    (model,) = node.items("/models")
    shown = node.get(f"/models/{model['digest']}")
    assert shown["passport"]["weights"] == model["digest"]
    assert shown["card"].startswith("#")
    compared = node.get(f"/studies/{study}/compare", **{"with": study})
    assert [one["id"] for one in compared["studies"]] == [study]
    overview = node.get("/overview")
    assert (overview["models"], overview["studies"]["completed"]) == (1, 1)
    assert [one["rounds"] for one in overview["contributions"]] == [2, 2]
    home = node.get("/home")
    assert [one["id"] for one in home["studies"]] == [study]
    answered = study_events(node.hospital, study, "answered")
    assert {who for one in answered for who in one["facts"]["sites"]} == {south.me, west.me}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"rounds": 41}, "rounds"),
        ({"purpose": "advertising"}, "purpose"),
    ],
)
def test_what_a_hospital_would_refuse_is_said_before_anybody_is_asked(
    node: NodeBench, south: Hospital, west: Hospital, changes: dict[str, Any], field: str
) -> None:
    drafted = node.ask("POST", "/drafts", answers(south, west, **changes)).json()
    assert drafted["draft"] is not None
    assert [(one["field"], one["participant"]) for one in drafted["flaws"]] == [
        (field, south.me),
        (field, west.me),
    ]
    assert all(one["zh"] for one in drafted["flaws"])


@pytest.mark.parametrize(
    "changes",
    [
        {"invite": []},
        {"recipe": "magic"},
        {"quorum": 9},
        {"settings": {"learning_rate": -1}},
        {"privacy": {"preset": "none"}},
        {"secure": {"clip": 0}},
    ],
)
def test_answers_that_make_no_plan_give_reasons_and_no_draft(
    node: NodeBench, south: Hospital, west: Hospital, changes: dict[str, Any]
) -> None:
    drafted = node.ask("POST", "/drafts", answers(south, west) | changes).json()
    assert drafted["draft"] is None
    assert drafted["flaws"][0]["en"]
    assert drafted["flaws"][0]["zh"]


def test_every_recipe_and_rule_says_what_its_settings_are_for(node: NodeBench) -> None:
    for form in [*node.get("/recipes"), *node.get("/rules")]:
        for setting in form["settings"]:
            assert setting["help"]["en"], (form["name"], setting)
            assert any("一" <= letter <= "鿿" for letter in setting["help"]["zh"]), setting
    assert all(rule["help"]["zh"] for rule in node.get("/rules"))


def test_a_table_that_a_browser_sends_is_taken_in_and_its_copy_is_gone(node: NodeBench) -> None:
    text = "\n".join(["id,age,sex,outcome", *rows()])
    about = {"schema": SCHEMA, "name": "heart", "title": "心脏病"}
    about |= {"governance": governance(), "terms": terms()}
    answer = node.upload("hearts.csv", text.encode(), about)
    assert answer.status_code == 200, answer.text
    task = node.wait(answer.json())
    assert (task["state"], task["error"]) == ("done", None)
    shown = node.get("/datasets/heart")
    assert [one["name"] for one in shown["profile"]] == ["age", "sex", "outcome"]
    assert (shown["profile"][0]["missing"], shown["profile"][0]["max"]) == (0.0, 120.0)
    assert shown["descriptor"]["dct:identifier"] == "heart"
    assert CANARY not in json.dumps(shown)
    wait_until_empty(node)


def test_an_upload_that_cannot_be_taken_is_refused_with_its_reason(node: NodeBench) -> None:
    answer = node.upload("hearts.exe", b"x", {})
    assert (answer.status_code, answer.json()["code"]) == (400, "console.bad_upload")
    answer = node.upload("hearts.csv", b"x", {"name": "heart", "colour": CANARY})
    assert (answer.status_code, answer.json()["code"]) == (400, "console.bad_answers")
    assert CANARY not in answer.text
    wait_until_empty(node)


def test_evidence_is_searched_from_the_newest_and_proved_whole(
    node: NodeBench, south: Hospital
) -> None:
    node.ask("POST", "/agreements", {"participant": south.me, "dataset": "heart"})
    every = node.items("/evidence")
    assert [one["seq"] for one in every] == list(range(len(every), 0, -1))
    page = node.get("/evidence", limit=2)
    behind = node.get("/evidence", limit=2, cursor=page["next"])
    assert page["items"] + behind["items"] == every[:4]
    kinds = {one["kind"] for one in node.items("/evidence", kind="agreement.")}
    assert kinds
    assert all(kind.startswith("agreement.") for kind in kinds)
    assert node.items("/evidence", until="2000-01-01") == []
    proof = node.ask("POST", "/evidence/verify").json()
    assert (proof["verified"], proof["entries"], proof["error"]) == (True, len(every), None)
    assert proof["checkpoint"]["size"] == len(every)


def test_home_and_network_show_this_node_and_the_others(node: NodeBench, south: Hospital) -> None:
    home = node.get("/home")
    assert home["health"]["online"] is True
    assert home["health"]["disk_total_bytes"] > 0
    assert home["waiting"] == []
    nodes = {one["participant"]: one for one in node.get("/nodes")}
    assert nodes[node.hospital.me]["mine"] is True
    assert nodes[south.me]["online"] is True
    assert nodes[south.me]["certificate_until"]
    settings = node.get("/settings")
    assert settings["approvals"]["exports"] == "two persons"
    assert settings["node"]["database"] == "set"


def test_two_agreements_are_compared_term_by_term(
    world: StudySpace, node: NodeBench, south: Hospital
) -> None:
    west = world.add("west")
    world.add_data(west, terms=own_terms("north", max_rounds=7))
    first, second = (
        node.ask("POST", "/agreements", {"participant": site.me, "dataset": "heart"}).json()
        for site in (south, west)
    )
    found = node.get(f"/agreements/{first['id']}/compare/{second['id']}")["changed"]
    changed = [one for one in found if one["before"]["en"] != one["after"]["en"]]
    assert [("40" in one["before"]["en"], "7" in one["after"]["en"]) for one in changed] == [
        (True, True)
    ]


def wait_until_empty(node: NodeBench) -> None:
    ends = time.monotonic() + 10
    while list((node.home / "uploads").glob("*")):
        assert time.monotonic() < ends
        time.sleep(0.02)
