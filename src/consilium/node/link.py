"""The node's one connection to its space: outbound, to the hub's relay.

A thread of its own keeps long polls open, hands what comes to the node's
protocol door and posts the answers. It also renews certificates in time and
shows the hub the evidence log's checkpoints. After an outage it comes back by
itself.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from consilium.dataspace.endpoints import packed
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.wire.transports import HttpTransport, LocalTransport
from consilium.kernel.canonical import Json, canonical_bytes
from consilium.kernel.clock import Clock
from consilium.kernel.errors import ConsiliumError, IntegrityError, NotFoundError, PeerError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.database import Database
from consilium.node.hub_client import TIMEOUT_S, Caller, connection_error
from consilium.node.proxy import Proxy, client_options
from consilium.node.renewal import Renewal

Answerer = Callable[[WireRequest], WireReply]
"""The node's protocol door: `dataspace.endpoints.answer` with its connector."""

_LOG = logging.getLogger("consilium.link")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """How the link keeps itself up; times in seconds.

    `polls` long polls are open at once; each takes along up to `most` messages;
    `handlers` messages are handled at once. After a proxy refused our login the
    next try waits `refused_wait_s`, lest the account be locked.
    """

    polls: int = 2
    most: int = 8
    handlers: int = 4
    first_wait_s: float = 0.5
    longest_wait_s: float = 10.0
    wait_factor: float = 1.5
    refused_wait_s: float = 60.0
    checkpoint_s: float = 5.0


def _say_nothing(_error: ConsiliumError) -> None:
    return


class Waits:
    """The growing waits between tries; back to the first when something worked.

    Parameters
    ----------
    settings : LinkSettings
        First and longest wait, and the factor between.
    """

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._next = settings.first_wait_s

    def reset(self) -> None:
        """Begin anew with the first wait."""
        self._next = self._settings.first_wait_s

    def next_s(self) -> float:
        """Return the next wait."""
        wait = self._next
        self._next = min(wait * self._settings.wait_factor, self._settings.longest_wait_s)
        return wait


class HubLink:
    """Keeps the connection; start it once the node's door is ready.

    Parameters
    ----------
    caller : Caller
        Signs the polls.
    trust : ssl.SSLContext
        The space's root.
    answer : Answerer
        Handles each message; called in threads of the link's own.
    renewal : Renewal
        Renews the certificates when it is time.
    checkpoint : callable
        Gives the evidence log's present checkpoint.
    show : callable
        Has the hub cosign it.
    clock : Clock
        For renewal.
    refresh : callable, optional
        Looks at the member list, if that has become stale.
    settings : LinkSettings, optional
    proxy : Proxy, optional
        Through which the hub is reached.
    refused : callable, optional
        Hears of each answer or message of the hub's that was not believed.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        trust: ssl.SSLContext,
        answer: Answerer,
        renewal: Renewal,
        checkpoint: Callable[[], str],
        show: Callable[[], object],
        clock: Clock,
        refresh: Callable[[], object] = int,
        settings: LinkSettings | None = None,
        proxy: Proxy | None = None,
        refused: Callable[[ConsiliumError], object] = _say_nothing,
    ) -> None:
        self._caller = caller
        self._proxy = proxy
        self._trust = trust
        self._answer = answer
        self._renewal = renewal
        self._checkpoint = checkpoint
        self._show = show
        self._clock = clock
        self._refresh = refresh
        self._settings = settings or LinkSettings()
        self._refused = refused
        self._shown = ""
        self._showing = threading.Lock()
        self._online = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._ready = threading.Event()
        self._handlers = ThreadPoolExecutor(self._settings.handlers, thread_name_prefix="dsp")
        self._thread = threading.Thread(target=self._run, name="link")

    def start(self) -> None:
        """Begin; returns at once, whether or not the hub is there."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Hang up, and wait until everything of the link has ended."""
        if self._loop is not None and self._ended is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()
        self._handlers.shutdown(wait=True, cancel_futures=True)

    def is_online(self) -> bool:
        """Say whether the last word with the hub was a good one."""
        return self._online.is_set()

    def wait_online(self, timeout_s: float) -> bool:
        """Wait until the hub has answered a poll; say whether it has."""
        return self._online.wait(timeout_s)

    def show_checkpoint(self) -> bool:
        """Have the hub cosign the evidence log's present end, if it has not seen it yet.

        Raises
        ------
        PeerError
            The hub is away.
        IntegrityError
            `ledger.log_shrank`, `ledger.not_consistent`: the hub has seen
            another log of ours. Stop.

        Discloses
        ---------
        The number of evidence entries and hashes over them.
        """
        with self._showing:
            note = self._checkpoint()
            if note == self._shown:
                return False
            self._show()
            self._shown = note
            return True

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._ready.set()
        limits = httpx.Limits(max_keepalive_connections=16, keepalive_expiry=60)
        options = client_options(self._trust, self._proxy)
        async with httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits, **options) as client:
            works = [self._poll(client) for _ in range(self._settings.polls)]
            tasks = [asyncio.create_task(work) for work in (*works, self._keep())]
            await self._ended.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, client: httpx.AsyncClient) -> None:
        """Fetch messages and have them handled, for ever."""
        waits = Waits(self._settings)
        document: Json = {"most": self._settings.most}
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                try:
                    messages = await self._call(client, "/relay/next", document)
                except ConsiliumError as error:
                    self._online.clear()
                    wait = self._wait_s(error, waits)
                    _LOG.info("the relay is away, next try in %.1f s: %s", wait, error.public)
                    await asyncio.sleep(wait)
                    continue
                waits.reset()
                self._online.set()
                for message in messages if isinstance(messages, list) else ():
                    task = asyncio.create_task(self._handle(client, message))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
        finally:
            for task in under_way:
                task.cancel()

    def _wait_s(self, error: ConsiliumError, waits: Waits) -> float:
        refused = error.code == "link.proxy_login"
        return self._settings.refused_wait_s if refused else waits.next_s()

    async def _handle(self, client: httpx.AsyncClient, message: Any) -> None:
        """Have one message handled and post the answer; its sender repeats what is lost."""
        try:
            name, request = _read_message(message)
            loop = asyncio.get_running_loop()
            reply = await loop.run_in_executor(self._handlers, self._reply, request)
            answer = _write_reply(reply, accepted=_accepted(message))
            await self._call(client, f"/relay/answers/{name}", answer)
        except NotFoundError:
            _LOG.info("an answer came too late for the relay")
        except ConsiliumError as error:
            _LOG.warning("a relayed message was not answered: %s", error.public)
            if error.code == "link.bad_message":
                await asyncio.to_thread(self._refused, error)

    def _reply(self, request: WireRequest) -> WireReply:
        try:
            return self._answer(request)
        except ConsiliumError as error:
            body = canonical_bytes(error.as_record())
            return WireReply(status=error.http_status, body=body)

    async def _call(self, client: httpx.AsyncClient, target: str, document: Json) -> Any:
        request = self._caller.prepare("POST", target, document)
        try:
            response = await client.send(request)
        except httpx.HTTPError as error:
            hub = self._caller.membership.hub
            raise connection_error(error, hub=hub, proxy=self._proxy) from error
        return self._caller.read(response)

    async def _keep(self) -> None:
        """Renew certificates when due; show new checkpoints. Blocking work goes to threads."""
        waits = Waits(self._settings)
        while True:
            works = (self._renew_if_due, self.show_checkpoint, self._refresh)
            errors = [await self._try(work) for work in works]
            error = next((one for one in errors if one is not None), None)
            if error is None:
                waits.reset()
                self._online.set()
                await asyncio.sleep(self._sleep_s())
            else:
                await asyncio.sleep(self._wait_s(error, waits))

    async def _try(self, work: Callable[[], object]) -> ConsiliumError | None:
        """Work in a thread; return what went wrong, once it is in the log."""
        try:
            await asyncio.to_thread(work)
        except PeerError as error:
            _LOG.info("%s", error.public)
            return error
        except ConsiliumError as error:
            _LOG.error("%s", error.public)
            if isinstance(error, IntegrityError):
                await asyncio.to_thread(self._refused, error)
            return error
        return None

    def _renew_if_due(self) -> None:
        if self._clock.now() >= self._renewal.due():
            self._renewal.renew()

    def _sleep_s(self) -> float:
        left = (self._renewal.due() - self._clock.now()).total_seconds()
        return max(0.2, min(left, self._settings.checkpoint_s))


def keep_refusals(database: Database, *, hub: ParticipantId) -> Callable[[ConsiliumError], None]:
    """Write into the evidence what the link did not believe of the hub's."""

    def keep(refusal: ConsiliumError) -> None:
        facts: dict[str, Json] = {"code": refusal.code, "reason": refusal.public[:400]}
        database.refusals.keep("hub.refused", hub, facts, rule=refusal.code)

    return keep


def make_transport(
    caller: Caller, *, trust: ssl.SSLContext, answer: Answerer, proxy: Proxy | None = None
) -> tuple[LocalTransport, httpx.Client]:
    """Make the way to every member: to ourselves directly, to others through the relay.

    Returns
    -------
    tuple
        The transport, and the client that the caller closes at the end.

    Discloses
    ---------
    Each request as it stands, to the peer and to the hub that carries it.
    """
    member = caller.membership
    client = httpx.Client(timeout=TIMEOUT_S, **client_options(trust, proxy))
    relayed = HttpTransport(member.relay_address, client=client)
    return LocalTransport({member.participant: answer}, otherwise=relayed), client


def _read_message(message: Any) -> tuple[str, WireRequest]:
    try:
        scheme, _, token = str(message["headers"].get("authorization", "")).partition(" ")
        return str(message["id"]), WireRequest(
            method=str(message["method"]),
            path=str(message["path"]),
            token=token if scheme.lower() == "bearer" else "",
            body=base64.b64decode(message["body"], validate=True),
        )
    except (KeyError, TypeError, AttributeError, ValueError, binascii.Error) as error:
        raise PeerError("link.bad_message") from error


def _accepted(message: Any) -> str:
    """Return how the sender would have its answer packed."""
    return str(message["headers"].get("accept-encoding", ""))


def _write_reply(reply: WireReply, *, accepted: str) -> dict[str, Json]:
    found, headers = packed(reply, accepted=accepted)
    body = base64.b64encode(found).decode("ascii")
    return {"status": reply.status, "headers": dict(headers), "body": body}
