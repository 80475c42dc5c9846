"""Joining a space with a token: keys are made here, only requests travel.

1. The token tells the hub's address and the root key's fingerprint. The root is
   fetched once without trust, and believed only if the fingerprint fits.
2. From then on TLS believes that root alone.
3. Keys and answers are gathered in `HOME/.joining` and moved into place when
   they are complete; `node.toml` comes last and is what makes a node.
4. The request of a token and its keys is always the same text, so an attempt
   that broke off after the hub had answered can be repeated: the answer is too.
"""

from __future__ import annotations

import json
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509

from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock
from consilium.kernel.errors import (
    DeniedError,
    InputError,
    IntegrityError,
    PeerError,
    StateError,
)
from consilium.ledger.certificates import (
    create_rsa_key,
    load_private_key,
    read_certificate,
    request_certificate,
    root_fingerprint,
    verify_root,
    write_certificate,
)
from consilium.ledger.files import write_atomic
from consilium.ledger.jointokens import JOIN, JoinToken, read_token
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement
from consilium.node.hub_client import connection_error, read_answer
from consilium.node.membership import (
    ENGINE_KEY,
    FILE,
    KEYS,
    PARTICIPANT_KEY,
    ROOT,
    EngineAddress,
    KeyFolder,
    Membership,
    load_membership,
)
from consilium.node.proxy import Proxy, ProxyRules, client_options
from consilium.node.renewal import check_certificates, write_certificates
from consilium.node.settings import SECTION

STAGING = ".joining"
_MARK = "token"
_TIMEOUT_S = 30.0
_LONGEST_ROOT = 1 << 14
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""Failures before anything was delivered."""


def join_hub(
    home: Path, text: str, *, clock: Clock, proxies: ProxyRules | None = None
) -> Membership:
    """Join a space: make keys, have them certified, write the node's folder.

    Parameters
    ----------
    home : Path
        The node's folder; may be there already if it holds no node.
    text : str
        The join token as it was handed out.
    clock : Clock
        For the token's expiry and the certificates.
    proxies : ProxyRules, optional
        How the hub is reached; a setting in them becomes the node's own.

    Returns
    -------
    Membership
        As it now stands in `node.toml`.

    Raises
    ------
    InputError, DeniedError
        The token is damaged, expired, used, or for another hub or member.
    StateError
        `link.already_joined`; `ledger.disk_full` and the like.
    IntegrityError
        `link.wrong_fingerprint`, `link.hub_untrusted`: somebody stands between.
    PeerError
        `link.hub_away`, `link.proxy_login`, `hub.busy` and the like: repeat with the
        same token.

    Discloses
    ---------
    Two public keys and the member's name, to the hub. No secret leaves.
    """
    token = read_token(text)
    if (home / FILE).exists():
        name = load_membership(home).name
        raise StateError("link.already_joined", path=str(home), name=name, now="in", wanted="out")
    if (home / STAGING / FILE).exists():
        return _settle(home)
    token.check_time(clock)
    rules = proxies or ProxyRules()
    proxy = rules.find(token.hub)
    with _attempt(home, token, proxy=proxy) as attempt:
        root = _fetch_root(token, proxy=proxy)
        write_atomic(attempt.keys / ROOT, write_certificate(root).encode("ascii"), mode=0o644)
        statement = _join_request(attempt.keys, token)
        answer = attempt.ask(statement)
        membership = _check(answer, token, root=root, keys=attempt.keys, clock=clock)
        write_certificates(answer, KeyFolder(attempt.keys))
        text = membership.as_toml() + _own_settings(rules)
        write_atomic(home / STAGING / FILE, text.encode("utf-8"), mode=0o644)
    return _settle(home)


class _Attempt:
    """One token's attempt: its folder, and whether it may have used the token up."""

    def __init__(self, home: Path, token: JoinToken, proxy: Proxy | None) -> None:
        self.home = home
        self.token = token
        self.proxy = proxy
        self.keys = home / STAGING / KEYS
        self.kept = False
        self._there = home.exists()

    def begin(self) -> None:
        """Make the folder, or find that of an earlier attempt with the same token."""
        folder, word = self.home / STAGING, self.token.key.public.fingerprint
        mark = folder / _MARK
        if folder.exists() and not (mark.exists() and mark.read_text() == word):
            shutil.rmtree(folder)
        self.kept = folder.exists()
        self.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(mark, word.encode("ascii"))

    def ask(self, statement: str) -> dict[str, Any]:
        """Hand the request to the hub. What may have been taken is kept, to be repeated."""
        trust = ssl.create_default_context(cafile=str(self.keys / ROOT))
        document = {"statement": statement}
        try:
            response = _send(
                self.token.hub,
                "POST",
                "/join",
                trust=trust,
                proxy=self.proxy,
                document=document,
            )
        except PeerError as error:
            self.kept = self.kept or not isinstance(error.__cause__, _UNSENT)
            raise
        self.kept = True
        try:
            answer = read_answer(response, hub=self.token.hub)
        except (InputError, DeniedError, StateError):
            self.kept = False
            raise
        if not isinstance(answer, dict):
            raise PeerError("link.hub_answer", hub=self.token.hub, status=response.status_code)
        return answer

    def discard(self) -> None:
        """Leave the home as it was before."""
        shutil.rmtree(self.home / STAGING, ignore_errors=True)
        if not self._there:
            with suppress(OSError):
                self.home.rmdir()


@contextmanager
def _attempt(home: Path, token: JoinToken, *, proxy: Proxy | None) -> Iterator[_Attempt]:
    """Give an attempt; if it fails, keep only what repeating it needs."""
    attempt = _Attempt(home, token, proxy)
    try:
        attempt.begin()
        yield attempt
    except BaseException as error:
        if not attempt.kept:
            attempt.discard()
        if isinstance(error, OSError):
            reason = error.strerror or "refused"
            raise StateError("ledger.cannot_write", place=str(home), reason=reason) from error
        raise


def _settle(home: Path) -> Membership:
    """Move what is complete into place; `node.toml` last."""
    staging = home / STAGING
    if (staging / KEYS).exists():
        (staging / KEYS).rename(home / KEYS)
    (staging / FILE).rename(home / FILE)
    shutil.rmtree(staging)
    return load_membership(home)


def _fetch_root(token: JoinToken, *, proxy: Proxy | None) -> x509.Certificate:
    """Fetch the root without trust, and believe it by the token's fingerprint alone."""
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE  # this once: the fingerprint is the check
    response = _send(token.hub, "GET", "/root", trust=blind, proxy=proxy)
    if not response.is_success or len(response.content) > _LONGEST_ROOT:
        raise PeerError("link.hub_answer", hub=token.hub, status=response.status_code)
    try:
        root = read_certificate(response.content)
        fits = root_fingerprint(root) == token.fingerprint
    except InputError as error:
        raise PeerError("link.hub_answer", hub=token.hub, status=response.status_code) from error
    if not fits:
        raise IntegrityError("link.wrong_fingerprint", hub=token.hub)
    verify_root(root)
    return root


def _send(
    hub: str,
    method: str,
    target: str,
    *,
    trust: ssl.SSLContext,
    proxy: Proxy | None,
    document: Json = None,
) -> httpx.Response:
    try:
        with httpx.Client(timeout=_TIMEOUT_S, **client_options(trust, proxy)) as client:
            return client.request(method, f"{hub}{target}", json=document)
    except httpx.HTTPError as error:
        raise connection_error(error, hub=hub, proxy=proxy) from error


def _own_settings(rules: ProxyRules) -> str:
    """Write the proxy that was named for the join as the node's own setting."""
    given = {"proxy": rules.setting, "proxy_login": rules.login}
    lines = [f"{key} = {json.dumps(it, ensure_ascii=False)}" for key, it in given.items() if it]
    return "\n".join(["", f"[{SECTION}]", *lines, ""]) if lines else ""


def _join_request(keys: Path, token: JoinToken) -> str:
    """Make both keys, or take those of an earlier attempt, and write the request."""
    signing, engine = keys / PARTICIPANT_KEY, keys / ENGINE_KEY
    mine = SigningKey.load(signing) if signing.exists() else SigningKey.create(signing)
    rsa = load_private_key(engine) if engine.exists() else create_rsa_key(engine)
    facts: dict[str, Json] = {
        "space": token.space,
        "member": token.member,
        "token": token.key.public.text,
        "csr_participant": request_certificate(mine.ed25519, name=token.member),
        "csr_engine": request_certificate(rsa, name=token.member),
    }
    return sign_statement(token.key, JOIN, facts)


def _check(
    answer: dict[str, Any], token: JoinToken, *, root: x509.Certificate, keys: Path, clock: Clock
) -> Membership:
    """Believe the answer only where root and keys prove it."""
    folder = KeyFolder(keys)
    try:
        check_certificates(
            answer, folder, root=root, space=token.space, name=token.member, now=clock.now()
        )
        engine = EngineAddress(**answer["engine_address"])
    except (KeyError, TypeError, InputError) as error:
        raise PeerError("link.hub_answer", hub=token.hub, status=200) from error
    return Membership(
        space=token.space, name=token.member, title=token.title, hub=token.hub, engine=engine
    )
