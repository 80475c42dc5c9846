"""A node's place in a space: what the join wrote, and where its keys lie.

`node.toml` holds the sections `[member]` and `[engine]` that are written once
by the join; whatever else stands in the file is the node's settings.
"""

from __future__ import annotations

import json
import ssl
import tomllib
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from cryptography import x509

from consilium.kernel.errors import InputError, NotFoundError
from consilium.kernel.identifiers import ParticipantId, participant_id
from consilium.kernel.tables import Section, Slip
from consilium.ledger.certificates import load_certificate
from consilium.ledger.jointokens import HUB
from consilium.ledger.keys import SigningKey

FILE = "node.toml"
KEYS = "keys"
PARTICIPANT_KEY, PARTICIPANT_CERTIFICATE = "participant.key", "participant.crt"
ENGINE_KEY, ENGINE_CERTIFICATE = "engine.key", "engine.crt"
ROOT, HUB_CERTIFICATE = "root.crt", "hub.crt"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAddress:
    """Where the engine's server is, and by which name it proves itself."""

    host: str
    port: int
    server_name: str
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Which space this node belongs to, under which name, and where its hub is."""

    space: str
    name: str
    title: str
    hub: str
    engine: EngineAddress

    @property
    def participant(self) -> ParticipantId:
        """The identifier of this node."""
        return participant_id(self.space, self.name)

    @property
    def hub_participant(self) -> ParticipantId:
        """The identifier under which the hub speaks."""
        return participant_id(self.space, HUB)

    def relay_address(self, participant: ParticipantId) -> str:
        """Return the address of a member's protocol root at the hub's relay."""
        return f"{self.hub}/members/{participant.rpartition(':')[2]}/dsp"

    def as_toml(self) -> str:
        """Write the two sections; JSON's text and numbers are TOML's too."""
        member = {name: getattr(self, name) for name in ("space", "name", "title", "hub")}
        engine = {item.name: getattr(self.engine, item.name) for item in fields(self.engine)}
        lines = ["# Written by `consilium node join`. Settings of your own may be added below."]
        for section, values in (("member", member), ("engine", engine)):
            lines += ["", f"[{section}]"]
            lines += [f"{key} = {json.dumps(it, ensure_ascii=False)}" for key, it in values.items()]
        return "\n".join(lines) + "\n"


def load_membership(home: Path) -> Membership:
    """Read a node's place in its space.

    Raises
    ------
    NotFoundError
        `link.not_joined`.
    InputError
        `link.bad_membership`.
    """
    path = home / FILE
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError("link.not_joined", path=str(home)) from error
    except ValueError as error:
        raise InputError("link.bad_membership", path=str(path), key="(the file)") from error
    top = Section(table, refuse=partial(_refuse, path))
    member, engine = (top.section(name, optional=True) for name in ("member", "engine"))
    return Membership(
        space=member.text("space"),
        name=member.text("name"),
        title=member.text("title"),
        hub=member.text("hub"),
        engine=EngineAddress(
            host=engine.text("host"),
            port=engine.whole("port"),
            server_name=engine.text("server_name"),
            project=engine.text("project"),
        ),
    )


def _refuse(path: Path, slip: Slip) -> InputError:
    return InputError("link.bad_membership", path=str(path), key=slip.path)


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """A node's keys and certificates on disk.

    Parameters
    ----------
    path : Path
        `HOME/keys`.
    """

    path: Path

    def signing_key(self) -> SigningKey:
        """Load the key that signs what this hospital says."""
        return SigningKey.load(self.path / PARTICIPANT_KEY)

    def root(self) -> x509.Certificate:
        """Load the space's root, as it was pinned when joining."""
        return load_certificate(self.path / ROOT)

    def trust(self) -> ssl.SSLContext:
        """Make a TLS context that believes the space's root and nobody else."""
        self.root()
        return ssl.create_default_context(cafile=str(self.path / ROOT))
