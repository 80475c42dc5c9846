"""Job folders: the same order, the same bytes, and JSON only."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from consilium.federation.flare.jobs import EXECUTOR, job_files
from consilium.gate.orders import Order
from consilium.kernel.errors import ConsiliumError


def test_the_same_order_gives_the_same_files(order: Order) -> None:
    assert job_files(order) == job_files(Order.from_json(order.as_json()))


def test_a_job_is_json_and_names_one_executor(order: Order) -> None:
    files = job_files(order)
    assert all(name.endswith(".json") for name in files)
    for data in files.values():
        json.loads(data)
    client = json.loads(files["site/config/config_fed_client.json"])
    assert [entry["executor"] for entry in client["executors"]] == [{"path": EXECUTOR, "args": {}}]
    assert client["components"] == []
    assert client["task_data_filters"] == client["task_result_filters"] == []


def test_the_hospitals_are_named_one_by_one_and_the_quorum_is_the_least(order: Order) -> None:
    meta = json.loads(job_files(order)["meta.json"])
    assert meta["deploy_map"] == {"hub": ["server"], "site": ["east", "north", "west"]}
    assert meta["min_clients"] == 2


def test_the_order_goes_in_a_file_of_its_own_byte_for_byte(order: Order) -> None:
    files = job_files(order)
    assert files["site/config/order.json"] == order.as_json()
    assert files["hub/config/order.json"] == order.as_json()
    assert all(b"{JOB_ID}" not in data for name, data in files.items() if "order" not in name)


def test_an_order_without_a_readable_study_makes_no_job(order: Order) -> None:
    with pytest.raises(ConsiliumError):
        job_files(replace(order, signed_study="nothing"))
