"""Engine kits: the folders from which FLARE's processes start, written by ourselves.

A kit is a handful of JSON files and a certificate: no provisioning tool, no
start-up scripts, no signature file. Everything that a hospital decides about
the engine stands in its own kit and never comes from the hub.

::

    server kit   startup/ rootCA.pem server.crt server.key fed_server.json
    site kit     startup/ rootCA.pem client.crt client.key fed_client.json
    submitter    startup/ rootCA.pem client.crt client.key fed_admin.json
    all          local/   resources.json, for server and site also
                          authorization.json log_config.json
    site         local/   job_resources.json (the node's desk, for job processes)
                          parent__p_resources.json (launcher and validator)
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consilium.federation.flare.jobs import CONTROLLER, EXECUTOR
from consilium.kernel.errors import InputError
from consilium.ledger.files import write_atomic

SUBMITTER_ROLE = "lead"
"""What stands as role (`unstructuredName`) in the certificate of the hub's submitter."""

HEART_BEAT_S = 2
"""Seconds between a site's signs of life; FLARE cannot do less."""

CONTROL_SOCKET = "control.sock"
DESK_COMPONENT = "desk"
_LONGEST_SOCKET_PATH = 100

_COMPONENTS = "consilium.federation.flare"
_RIGHTS = (
    "byoc",
    "clone_job",
    "download_job",
    "manage_job",
    "operate",
    "server-predeployed-flwr",
    "shell_commands",
    "submit_job",
    "view",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAddress:
    """Where the hub's engine is, and as whom its certificate must name it.

    `host` is a name in the server certificate; with `localhost` the server
    listens on the loopback only. One port serves sites and submitter.
    """

    host: str
    port: int
    project: str
    server: str

    @property
    def target(self) -> str:
        """Host and port as FLARE writes them."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The space's root certificate, one's own certificate and its RSA key, as PEM."""

    root: bytes
    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskAddress:
    """Which class a job process asks for data, and with which arguments.

    `path` is a class of our own with the `Desk` port; the node chooses it.
    """

    path: str
    arguments: Mapping[str, str]


def write_server_kit(
    folder: Path, *, address: EngineAddress, credentials: Credentials, submitter: Path
) -> None:
    """Write the kit of the hub's FLARE server.

    Parameters
    ----------
    folder : Path
        Made if missing; files that stand there are replaced one by one.
    address : EngineAddress
        Where the server listens.
    credentials : Credentials
        Certificate with common name `address.server`, for server and client use.
    submitter : Path
        The submitter's kit, with whose key the server's process signs jobs.

    Raises
    ------
    InputError
        `engine.desk_path` when the folder's path is too long for a socket in it.

    Discloses
    ---------
    Nothing.
    """
    length = len(os.fsencode(folder.absolute() / CONTROL_SOCKET))
    if length > _LONGEST_SOCKET_PATH:
        raise InputError("engine.desk_path", length=length)
    startup = {
        "format_version": 2,
        "require_signed_jobs": True,
        "servers": [
            {
                "name": address.project,
                "identity": address.server,
                "service": {"target": address.target, "scheme": "grpc"},
                "admin_server": address.host,
                "admin_port": address.port,
                "admin_storage": "transfer",
                "admin_timeout": 10.0,
                "ssl_private_key": "server.key",
                "ssl_cert": "server.crt",
                "ssl_root_cert": "rootCA.pem",
                "connection_security": "mtls",
                "max_num_clients": 1000,
                "heart_beat_timeout": 3 * HEART_BEAT_S,
                "check_engine_frequency": 0.2,
                "shutdown_period": 1.0,
            }
        ],
    }
    _write(folder, "startup/fed_server.json", startup)
    _write(folder, "local/resources.json", _server_resources(folder, submitter))
    _write_policy(folder)
    _write_credentials(folder, credentials, name="server")


def write_site_kit(
    folder: Path, *, name: str, address: EngineAddress, credentials: Credentials, desk: DeskAddress
) -> None:
    """Write the kit of a hospital's FLARE client.

    Parameters
    ----------
    folder : Path
        Made if missing; files that stand there are replaced one by one.
    name : str
        The member's short name, and the common name of its certificate.
    address : EngineAddress
        The hub's engine.
    credentials : Credentials
        Certificate for client use.
    desk : DeskAddress
        The node's counter, which the hub neither sees nor chooses.

    Discloses
    ---------
    Nothing. `site_config` is set empty, because FLARE would otherwise send
    parts of the local configuration to the hub when the site registers.
    """
    startup = {
        "format_version": 2,
        "require_signed_jobs": True,
        "servers": [
            {
                "name": address.project,
                "identity": address.server,
                "service": {"target": address.target, "scheme": "grpc"},
            }
        ],
        "client": {
            "fqsn": name,
            "is_leaf": True,
            "site_config": {},
            "ssl_private_key": "client.key",
            "ssl_cert": "client.crt",
            "ssl_root_cert": "rootCA.pem",
            "connection_security": "mtls",
            "client_register_interval": 1.0,
            "maint_msg_timeout": 5.0,
        },
    }
    counter = {"path": desk.path, "args": dict(desk.arguments)}
    validator = {"path": f"{_COMPONENTS}.validator.OrderValidator", "args": {"desk": counter}}
    _write(folder, "startup/fed_client.json", startup)
    _write(folder, "local/resources.json", _allow(EXECUTOR) | {"allow_log_streaming": False})
    _write(
        folder,
        "local/parent__p_resources.json",
        {
            "app_validator": validator,
            "components": [
                _component("resource_manager", _RESOURCES),
                _component("process_launcher", f"{_COMPONENTS}.launcher.ClientForkLauncher"),
            ],
        },
    )
    _write(folder, "local/job_resources.json", {"components": [{"id": DESK_COMPONENT} | counter]})
    _write_policy(folder)
    _write_credentials(folder, credentials, name="client")


def write_submitter_kit(
    folder: Path, *, username: str, address: EngineAddress, credentials: Credentials
) -> None:
    """Write the kit of the hub's submitter, who may submit and manage jobs, and nothing else.

    Parameters
    ----------
    folder : Path
        Made if missing; files that stand there are replaced one by one.
    username : str
        Common name of the certificate, in the form of a mail address.
    address : EngineAddress
        The hub's engine.
    credentials : Credentials
        Certificate for client use with the role `SUBMITTER_ROLE`.

    Discloses
    ---------
    Nothing.
    """
    admin = {
        "project_name": address.project,
        "username": username,
        "server_identity": address.server,
        "scheme": "grpc",
        "host": address.host,
        "port": address.port,
        "connection_security": "mtls",
        "uid_source": "cert",
        "upload_dir": "transfer",
        "download_dir": "transfer",
        "client_key": "client.key",
        "client_cert": "client.crt",
        "ca_cert": "rootCA.pem",
    }
    _write(folder, "startup/fed_admin.json", {"format_version": 1, "admin": admin})
    _write(folder, "local/resources.json", {"format_version": 1, "admin": {"login_timeout": 10.0}})
    _write_credentials(folder, credentials, name="client")
    (folder / "transfer").mkdir(exist_ok=True, mode=0o700)


def renew_credentials(folder: Path, credentials: Credentials) -> None:
    """Swap a kit's certificate and key while its process runs.

    New jobs and connections read the files; open connections go on. A renewal
    that keeps the key is one atomic rename; with a new key the two files change
    one after the other, and a process that starts in between is started again
    by its supervisor.

    Discloses
    ---------
    Nothing.
    """
    name = "server" if (folder / "startup" / "fed_server.json").exists() else "client"
    _write_credentials(folder, credentials, name=name)


_RESOURCES = (
    "nvflare.app_common.resource_managers.passthrough_resource_manager.PassthroughResourceManager"
)
_STORAGE = "nvflare.app_common.storages.filesystem_storage.FilesystemStorage"
_JOBS = "nvflare.apis.impl.job_def_manager.SimpleJobDefManager"
_SCHEDULER = "nvflare.app_common.job_schedulers.job_scheduler.DefaultJobScheduler"


def _server_resources(folder: Path, submitter: Path) -> dict[str, Any]:
    home = folder.absolute()
    # FLARE tries an unscheduled job again after 1, 2, 4, ... seconds: at most after 2 here.
    patience = {
        "max_jobs": 16,
        "max_schedule_count": 1_000_000,
        "min_schedule_interval": 1.0,
        "max_schedule_interval": 2.0,
    }
    store = {"uri_root": str(home / "jobs"), "job_store_id": "job_store"}
    control = {"address": str(home / CONTROL_SOCKET), "submitter": str(submitter.absolute())}
    return _allow(CONTROLLER) | {
        "components": [
            _component("job_scheduler", _SCHEDULER, patience),
            _component("job_manager", _JOBS, store),
            _component("job_store", _STORAGE),
            _component("process_launcher", f"{_COMPONENTS}.launcher.ServerForkLauncher"),
            _component("hub_control", f"{_COMPONENTS}.control.HubControl", control),
        ],
    }


def _allow(path: str) -> dict[str, Any]:
    return {
        "format_version": 2,
        "class_list_enforcement_mode": "enforce",
        "class_allow_list": [path],
    }


def _component(name: str, path: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"id": name, "path": path, "args": dict(arguments or {})}


def _write_policy(folder: Path) -> None:
    nothing = dict.fromkeys(_RIGHTS, "none")
    permissions = dict.fromkeys(("project_admin", "org_admin", "member"), nothing)
    permissions[SUBMITTER_ROLE] = nothing | {
        "submit_job": "any",
        "view": "any",
        "manage_job": "n:submitter",
    }
    policy = {"format_version": "1.0", "permissions": permissions}
    _write(folder, "local/authorization.json", policy)
    _write(folder, "local/log_config.json", _LOG_CONFIG)


_LOG_CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {
        "file": {
            "class": "logging.handlers.RotatingFileHandler",
            "formatter": "line",
            "filename": "log.txt",  # FLARE puts it into the kit or the job's folder
            "mode": "a",
            "maxBytes": 4_000_000,
            "backupCount": 2,
            "encoding": "utf-8",
        }
    },
    "root": {"level": "INFO", "handlers": ["file"]},
}


def _write_credentials(folder: Path, credentials: Credentials, *, name: str) -> None:
    startup = folder / "startup"
    startup.mkdir(parents=True, exist_ok=True, mode=0o700)
    parts = {
        "rootCA.pem": credentials.root,
        f"{name}.key": credentials.key,
        f"{name}.crt": credentials.certificate,
    }
    for file, data in parts.items():
        if not (startup / file).exists() or (startup / file).read_bytes() != data:
            write_atomic(startup / file, data)


def _write(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(path, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode())
