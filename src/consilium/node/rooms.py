"""Everything behind a node's API, in one record: what routes are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from consilium.dataspace.connector import Connector
from consilium.federation.flare.processes import SupervisedChild
from consilium.federation.registry import Recipes
from consilium.node.auditing import Auditor
from consilium.node.catalogue import Catalogue
from consilium.node.directory import HubDirectory
from consilium.node.evidence import EvidenceDesk
from consilium.node.following import Following
from consilium.node.leading import Leading
from consilium.node.link import HubLink
from consilium.node.membership import Membership
from consilium.node.reception import Reception
from consilium.node.registration import Registrar
from consilium.node.settings import ConsoleSettings, NodeSettings
from consilium.node.tasks import Tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """Everything behind the node's API; `home` is the node's folder."""

    home: Path
    settings: NodeSettings
    console: ConsoleSettings
    membership: Membership
    connector: Connector
    directory: HubDirectory
    link: HubLink
    engine: SupervisedChild
    registrar: Registrar
    leading: Leading
    tasks: Tasks
    reception: Reception
    evidence: EvidenceDesk
    recipes: Recipes
    catalogue: Catalogue
    following: Following
    auditor: Auditor
