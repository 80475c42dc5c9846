"""Kits: what stands in them, and what FLARE itself makes of their policy."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from consilium.federation.flare.jobs import CONTROLLER, EXECUTOR
from consilium.federation.flare.kits import (
    SUBMITTER_ROLE,
    Credentials,
    DeskAddress,
    EngineAddress,
    renew_credentials,
    write_server_kit,
    write_site_kit,
    write_submitter_kit,
)
from consilium.kernel.errors import InputError

ADDRESS = EngineAddress(host="hub.example", port=8443, project="space", server="engine.space")
CREDENTIALS = Credentials(root=b"root", certificate=b"certificate", key=b"key")
DESK = DeskAddress(path="consilium.node.job_main.SocketDesk", arguments={"address": "/run/d.sock"})


@pytest.fixture
def kits(tmp_path: Path) -> dict[str, Path]:
    write_submitter_kit(
        tmp_path / "submitter",
        username="submitter@space",
        address=ADDRESS,
        credentials=CREDENTIALS,
    )
    write_server_kit(
        tmp_path / "server",
        address=ADDRESS,
        credentials=CREDENTIALS,
        submitter=tmp_path / "submitter",
    )
    write_site_kit(
        tmp_path / "site", name="east", address=ADDRESS, credentials=CREDENTIALS, desk=DESK
    )
    return {name: tmp_path / name for name in ("submitter", "server", "site")}


def read(kit: Path, name: str) -> Any:
    return json.loads((kit / name).read_bytes())


def files(kit: Path) -> set[str]:
    return {path.relative_to(kit).as_posix() for path in kit.rglob("*") if path.is_file()}


def test_kits_hold_exactly_the_files_that_flare_needs(kits: dict[str, Path]) -> None:
    local = {"local/resources.json", "local/authorization.json", "local/log_config.json"}
    assert files(kits["server"]) == local | {
        "startup/rootCA.pem",
        "startup/server.crt",
        "startup/server.key",
        "startup/fed_server.json",
    }
    assert files(kits["site"]) == local | {
        "startup/rootCA.pem",
        "startup/client.crt",
        "startup/client.key",
        "startup/fed_client.json",
        "local/job_resources.json",
        "local/parent__p_resources.json",
    }
    assert files(kits["submitter"]) == {
        "startup/rootCA.pem",
        "startup/client.crt",
        "startup/client.key",
        "startup/fed_admin.json",
        "local/resources.json",
    }


def test_every_file_belongs_to_its_user_alone(kits: dict[str, Path]) -> None:
    for kit in kits.values():
        assert stat.S_IMODE(kit.stat().st_mode) == 0o700
        for name in files(kit):
            assert stat.S_IMODE((kit / name).stat().st_mode) == 0o600, name


def test_one_port_serves_sites_and_submitter_and_all_name_the_same_server(
    kits: dict[str, Path],
) -> None:
    server = read(kits["server"], "startup/fed_server.json")["servers"][0]
    site = read(kits["site"], "startup/fed_client.json")["servers"][0]
    admin = read(kits["submitter"], "startup/fed_admin.json")["admin"]
    assert server["service"]["target"] == site["service"]["target"] == "hub.example:8443"
    assert server["admin_port"] == admin["port"] == 8443
    assert server["name"] == site["name"] == admin["project_name"] == "space"
    assert site["identity"] == admin["server_identity"] == "engine.space"


def test_jobs_must_be_signed_everywhere(kits: dict[str, Path]) -> None:
    assert read(kits["server"], "startup/fed_server.json")["require_signed_jobs"] is True
    assert read(kits["site"], "startup/fed_client.json")["require_signed_jobs"] is True


def test_a_job_may_name_one_class_of_ours_and_nothing_else(kits: dict[str, Path]) -> None:
    for kit, allowed in (("site", EXECUTOR), ("server", CONTROLLER)):
        resources = read(kits[kit], "local/resources.json")
        assert resources["class_allow_list"] == [allowed]
        assert resources["class_list_enforcement_mode"] == "enforce"


def test_a_site_tells_the_hub_nothing_of_its_configuration(kits: dict[str, Path]) -> None:
    client = read(kits["site"], "startup/fed_client.json")["client"]
    assert client["site_config"] == {}
    assert read(kits["site"], "local/resources.json")["allow_log_streaming"] is False


def test_the_desk_stands_in_the_sites_own_files_and_in_no_other_kit(kits: dict[str, Path]) -> None:
    jobs = read(kits["site"], "local/job_resources.json")["components"]
    assert jobs == [{"id": "desk", "path": DESK.path, "args": dict(DESK.arguments)}]
    parent = read(kits["site"], "local/parent__p_resources.json")
    assert parent["app_validator"]["args"]["desk"]["args"] == dict(DESK.arguments)
    for kit in ("server", "submitter"):
        for name in files(kits[kit]):
            assert b"d.sock" not in (kits[kit] / name).read_bytes()


def test_logs_and_stores_stay_inside_the_kit_and_logs_are_bounded(kits: dict[str, Path]) -> None:
    for kit in ("server", "site"):
        handlers = read(kits[kit], "local/log_config.json")["handlers"]
        assert set(handlers) == {"file"}
        assert handlers["file"]["class"].endswith("RotatingFileHandler")
        assert handlers["file"]["maxBytes"] * (handlers["file"]["backupCount"] + 1) < 20_000_000
        assert "/" not in handlers["file"]["filename"]
    resources = json.dumps(read(kits["server"], "local/resources.json"))
    assert str(kits["server"] / "jobs") in resources
    assert "/tmp/nvflare" not in resources


ROLES = ("project_admin", "org_admin", "member", SUBMITTER_ROLE, "stranger")
DANGEROUS = (
    "shutdown",
    "restart",
    "remove_client",
    "disable_client",
    "enable_client",
    "sys_info",
    "configure_site_log",
    "report_env",
    "cat",
    "ls",
    "grep",
    "download_job",
    "clone_job",
    "byoc",
    "server-predeployed-flwr",
)


@pytest.mark.parametrize("kit", ["server", "site"])
@pytest.mark.parametrize("role", ROLES)
def test_flare_grants_nobody_more_than_submitting_and_minding_ones_own_jobs(
    kits: dict[str, Path], kit: str, role: str
) -> None:
    from nvflare.fuel.sec.authz import AuthzContext, Person
    from nvflare.security.security import FLAuthorizer

    authorizer = FLAuthorizer("space", read(kits[kit], "local/authorization.json"))
    me, other = Person("me", "space", role), Person("other", "space", role)

    def may(right: str, submitter: Person) -> bool:
        return bool(authorizer.authorize(AuthzContext(right, me, submitter))[0])

    is_submitter = role == SUBMITTER_ROLE
    for right in DANGEROUS:
        assert not may(right, me), right
    for right in ("submit_job", "list_jobs", "get_job_meta", "abort_job", "delete_job"):
        assert may(right, me) == is_submitter, right
    assert not may("abort_job", other)


def test_renewal_replaces_only_what_changed(kits: dict[str, Path]) -> None:
    for kit, name in (("server", "server"), ("site", "client"), ("submitter", "client")):
        startup = kits[kit] / "startup"
        root, key = (startup / "rootCA.pem").stat(), (startup / f"{name}.key").stat()
        renew_credentials(
            kits[kit], Credentials(root=b"root", certificate=b"new certificate", key=b"key")
        )
        assert (startup / f"{name}.crt").read_bytes() == b"new certificate"
        assert (startup / "rootCA.pem").stat().st_ino == root.st_ino
        assert (startup / f"{name}.key").stat().st_ino == key.st_ino


def test_a_server_kit_whose_socket_path_would_be_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        write_server_kit(
            tmp_path / ("x" * 100),
            address=ADDRESS,
            credentials=CREDENTIALS,
            submitter=tmp_path / "submitter",
        )
    assert refused.value.code == "engine.desk_path"
