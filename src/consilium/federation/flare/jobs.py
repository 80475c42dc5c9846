"""Job folders: from an order to the files that FLARE carries, JSON and nothing else.

The same order always gives the same bytes. Two apps go out: `hub` for the
server, `site` for every hospital of the study. Both hold the order in a file of
its own, because FLARE replaces `{words}` in its own configuration files.
"""

from __future__ import annotations

from typing import Any

from consilium.federation.ports import EVALUATE, TRAIN
from consilium.gate.orders import Order, peek_study
from consilium.kernel.canonical import Json, canonical_bytes
from consilium.kernel.identifiers import member_name

ORDER_FILE = "config/order.json"
CLIENT_CONFIG = "config/config_fed_client.json"
SERVER_CONFIG = "config/config_fed_server.json"
REFUSALS_FILE = "refusals.jsonl"
"""In an attempt's folder: which site refused which task, one JSON line each."""
SIGNATURE_FILES = (".__nvfl_sig.json", ".__nvfl_submitter.crt")

EXECUTOR = "consilium.federation.flare.executor.RecipeExecutor"
CONTROLLER = "consilium.federation.flare.controller.SegmentController"


def job_files(order: Order) -> dict[str, bytes]:
    """Write the files of a job by their path in the job's folder.

    Raises
    ------
    InputError
        `gate.bad_order` when the study in the order cannot be read.

    Discloses
    ---------
    The order: the study's plan and its countersignatures. No data of patients.
    """
    study = peek_study(order.signed_study)
    sites = sorted(member_name(site.participant) for site in study.sites)
    meta: dict[str, Json] = {
        "name": f"segment-{order.segment}-{order.attempt}",
        "deploy_map": {"hub": ["server"], "site": sites},
        "min_clients": study.quorum,
        "resource_spec": {},
    }
    return {
        "meta.json": canonical_bytes(meta),
        f"hub/{SERVER_CONFIG}": canonical_bytes(server_config()),
        f"hub/{ORDER_FILE}": order.as_json(),
        f"site/{CLIENT_CONFIG}": canonical_bytes(client_config()),
        f"site/{ORDER_FILE}": order.as_json(),
    }


def client_config() -> dict[str, Any]:
    """Give the one configuration that a hospital accepts.

    Discloses
    ---------
    Nothing; it is the same for every job.
    """
    return {
        "format_version": 2,
        "executors": [{"tasks": [TRAIN, EVALUATE], "executor": {"path": EXECUTOR, "args": {}}}],
        "components": [],
        "task_data_filters": [],
        "task_result_filters": [],
        "default_task_fetch_interval": 0.05,
        "job_heartbeat_interval": 2.0,  # brings a site back that seemed dead for a moment
        "task_check_interval": 0.5,
    }


def server_config() -> dict[str, Any]:
    """Give the server's side: one controller, and the timings that were measured.

    Discloses
    ---------
    Nothing; it is the same for every job.
    """
    return {
        "format_version": 2,
        "server": {"heart_beat_timeout": 600, "task_request_interval": 0.05},
        "workflows": [{"id": "segment", "path": CONTROLLER, "args": {}}],
        "components": [],
        "task_data_filters": [],
        "task_result_filters": [],
        "dead_client_grace_period": 1.0,
        "dead_client_check_lead_time": 1.0,
    }
