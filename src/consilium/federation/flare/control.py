"""The hub's hand inside its FLARE server: submit, look, abort, over a local socket.

FLARE's own way is an administrator's session over the network. Kept in the hub,
it costs the hub FLARE's whole memory, takes seconds to open and hangs for good
when the server restarts under it. Here the server's process itself does what
such a session would ask of it, with the same checks: the job is signed with
the submitter's key, and the submitter's role must hold the right.

It also tells a running job at once which sites are gone, see `DeadSiteWatch`.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import RunProcessKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import JobMetaKey, RunStatus
from nvflare.apis.storage import StorageException
from nvflare.fuel.sec.authz import AuthorizationService, AuthzContext, Person
from nvflare.fuel.utils.zip_utils import zip_directory_to_bytes
from nvflare.lighter.utils import load_crt, load_private_key_file, sign_folders
from nvflare.private.fed.server.job_meta_validator import JobMetaValidator

from consilium.federation.flare.kits import HEART_BEAT_S
from consilium.kernel.errors import ConsiliumError, DeniedError, InputError, StateError

_LARGEST_REQUEST = 1 << 16
_DETAIL_S = 0.3
SILENCE_S = 2.5 * HEART_BEAT_S
"""After so long without a sign of life a site counts as gone."""
_log = logging.getLogger(__name__)


class HubControl(FLComponent):
    """Serves the hub's requests from inside the server's process.

    Parameters
    ----------
    address : str
        Path of the socket to serve; made anew, for this user alone.
    submitter : str
        Folder of the submitter's kit.
    """

    def __init__(self, address: str, submitter: str) -> None:
        super().__init__()
        self._address = Path(address)
        self._submitter = Path(submitter) / "startup"
        self._engine: Any = None
        self._calls: dict[str, Callable[..., dict[str, Any]]] = {
            "submit": self._submit,
            "status": self._status,
            "sites": self._sites,
            "abort": self._abort,
            "delete": self._delete,
            "jobs": self._jobs,
            "bar": self._bar,
        }

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Begin to serve when FLARE's server has started."""
        if event_type == EventType.SYSTEM_START:
            self._engine = fl_ctx.get_engine()
            self._address.unlink(missing_ok=True)
            server = _Server(str(self._address), self.answer)
            self._address.chmod(0o600)
            threading.Thread(target=server.serve_forever, name="control", daemon=True).start()
            DeadSiteWatch(self._engine).start()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what the hub asks and return its answer, or the error as a record."""
        call = self._calls.get(str(request.pop("call", "")))
        try:
            if call is None:
                raise InputError("engine.unknown_call")
            return call(**request)
        except ConsiliumError as error:
            return {"error": error.as_record()}
        except Exception:  # noqa: BLE001 - the request boundary: FLARE raises what it likes
            _log.exception("the request failed")
            return {"error": StateError("engine.call_failed").as_record()}

    def _submit(self, folder: str) -> dict[str, Any]:
        job = Path(folder)
        name, org, role = self._sign(job)
        data = zip_directory_to_bytes(str(job.parent), job.name)
        valid, reason, meta = JobMetaValidator().validate(job.name, data)
        if not valid:
            raise InputError("engine.bad_job", detail=str(reason))
        meta |= {
            JobMetaKey.SUBMITTER_NAME.value: name,
            JobMetaKey.SUBMITTER_ORG.value: org,
            JobMetaKey.SUBMITTER_ROLE.value: role,
            JobMetaKey.JOB_FOLDER_NAME.value: job.name,
            JobMetaKey.STUDY.value: "default",  # FLARE's word; our study stands in the order
        }
        with self._engine.new_context() as context:
            meta = self._engine.job_def_manager.create(meta, data, context)
        return {"job": meta[JobMetaKey.JOB_ID.value]}

    def _sign(self, job: Path) -> tuple[str, str, str]:
        certificate = self._submitter / "client.crt"
        subject = load_crt(certificate).subject
        name = _attribute(subject, NameOID.COMMON_NAME)
        org = _attribute(subject, NameOID.ORGANIZATION_NAME)
        role = _attribute(subject, NameOID.UNSTRUCTURED_NAME)
        person = Person(name, org, role)
        context = AuthzContext(right="submit_job", user=person, submitter=person)
        allowed, _ = AuthorizationService.authorize(context)
        if not allowed:
            raise DeniedError("engine.may_not_submit", name=name)
        key = load_private_key_file(str(self._submitter / "client.key"))
        sign_folders(str(job), key, str(certificate))
        return name, org, role

    def _status(self, job: str) -> dict[str, Any]:
        meta = self._meta(job)
        status, detail = JobMetaKey.STATUS.value, JobMetaKey.JOB_DEPLOY_DETAIL.value
        if meta.get(status) == RunStatus.FAILED_TO_RUN.value and not meta.get(detail):
            time.sleep(_DETAIL_S)  # FLARE writes the hospitals' answers just after the status
            meta = self._meta(job)
        return {"status": str(meta.get(status, "")), "detail": list(meta.get(detail) or [])}

    def _meta(self, job: str) -> dict[str, Any]:
        with self._engine.new_context() as context:
            found = self._engine.job_def_manager.get_job(job, context)
        return dict(found.meta) if found else {}

    def _sites(self) -> dict[str, Any]:
        fresh = time.time() - SILENCE_S  # FLARE's own list keeps a site that is gone for longer
        clients = [one for one in self._engine.get_clients() if one.last_connect_time >= fresh]
        return {"sites": sorted(client.name for client in clients)}

    def _jobs(self) -> dict[str, Any]:
        with self._engine.new_context() as context:
            jobs = self._engine.job_def_manager.get_all_jobs(context)
        return {"jobs": {job.job_id: str(job.meta.get(JobMetaKey.STATUS.value)) for job in jobs}}

    def _bar(self, names: str) -> dict[str, Any]:
        """Keep exactly these sites out: connections are dropped, and none is taken again."""
        wanted = frozenset(names.split())
        present = frozenset(self._engine.server.client_manager.disabled_clients)
        for name in sorted(wanted - present):
            self._engine.disable_clients([name])
        for name in sorted(present - wanted):
            self._engine.enable_clients([name])
        return {}

    def _abort(self, job: str) -> dict[str, Any]:
        is_waiting = self._meta(job).get(JobMetaKey.STATUS.value) == RunStatus.SUBMITTED.value
        with self._engine.new_context() as context:
            if is_waiting:
                self._engine.job_def_manager.set_status(job, RunStatus.FINISHED_ABORTED, context)
            elif job in self._engine.run_processes:
                self._engine.job_runner.stop_run(job, context)
        return {}

    def _delete(self, job: str) -> dict[str, Any]:
        with self._engine.new_context() as context, suppress(StorageException):
            self._engine.job_def_manager.delete(job, context)
        return {}


def _attribute(subject: x509.Name, kind: x509.ObjectIdentifier) -> str:
    found = subject.get_attributes_for_oid(kind)
    return str(found[0].value) if found else ""


class DeadSiteWatch:
    """Tells a job's process which of its sites are gone, within a second or two.

    FLARE notices a dead job process only if it has reported once, and a dead
    site only at its sweep each five seconds. This watch compares what FLARE
    already knows: a site whose process for the job has ended, or that has given
    no sign of life for a while. The job is told at the second look, again every
    two seconds until it must have heard, and takes a site back as soon as it
    hears from it.
    """

    INTERVAL_S = 0.5
    EVERY, REPEATS = 4, 20

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._told: dict[tuple[str, str], int] = {}

    def start(self) -> None:
        """Watch in a thread of its own."""
        threading.Thread(target=self._watch, name="dead-sites", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(self.INTERVAL_S)
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the job loop: FLARE's tables may change under the reader
                _log.exception("could not look for dead sites")

    def look(self) -> None:
        """Compare once, and tell."""
        gone = dict(self._gone())
        for place in [place for place in self._told if place not in gone]:
            del self._told[place]
        for (job, site), reason in gone.items():
            told = self._told.get((job, site), 0)
            if told % self.EVERY == 1 and told < self.REPEATS:
                self._engine.notify_dead_job(job, site, reason)
            self._told[job, site] = told + 1

    def _gone(self) -> list[tuple[tuple[str, str], str]]:
        found = []
        runner, now = self._engine.job_runner, time.time()
        connected = self._engine.client_manager.clients
        for job in list(runner.running_jobs):
            process = self._engine.run_processes.get(job) or {}
            for client in list((process.get(RunProcessKey.PARTICIPANTS) or {}).values()):
                current = connected.get(client.token)
                if not runner.is_client_outcome_pending(job, client.name):
                    found.append(((job, client.name), "its process ended"))
                elif current is None or now - current.last_connect_time > SILENCE_S:
                    found.append(((job, client.name), "no sign of life"))
        return found


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, address: str, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self.answer = answer
        super().__init__(address, _Request)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Serve this user's processes only."""
        size = struct.calcsize("3i")
        _, user, _ = struct.unpack(
            "3i", request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        )
        return bool(user == os.getuid())


class _Request(socketserver.StreamRequestHandler):
    timeout = 10.0
    server: _Server

    def handle(self) -> None:
        """Answer one line of JSON with one line of JSON."""
        request = json.loads(self.rfile.readline(_LARGEST_REQUEST))
        self.wfile.write(json.dumps(self.server.answer(request)).encode() + b"\n")
