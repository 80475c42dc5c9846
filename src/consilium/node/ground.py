"""What every part of a node stands on: home, settings, keys, database, the way to the hub."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from consilium.kernel.clock import Clock, SystemClock
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey
from consilium.node.hub_client import Caller, HubClient
from consilium.node.membership import KEYS, KeyFolder, Membership
from consilium.node.proxy import Proxy
from consilium.node.settings import (
    ConsoleSettings,
    NodeSettings,
    load_approval_settings,
    load_console_settings,
)
from consilium.persons.settings import ApprovalSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every part of the node stands on."""

    home: Path
    membership: Membership
    settings: NodeSettings
    approvals: ApprovalSettings
    console: ConsoleSettings
    keys: KeyFolder
    key: SigningKey
    clock: Clock
    database: Database
    caller: Caller
    hub: HubClient
    proxy: Proxy | None


def lay_ground(
    stack: ExitStack, home: Path, membership: Membership, settings: NodeSettings
) -> Ground:
    """Open everything that a node needs before it can speak or listen.

    Raises
    ------
    InputError, StateError, IntegrityError
        What keys, proxy and database say.
    """
    keys, clock = KeyFolder(home / KEYS), SystemClock()
    proxy = settings.proxies(home, environment=os.environ).find(membership.hub)
    key = keys.signing_key()
    database = open_database(
        settings.url(home), key=key, clock=clock, origin=membership.participant
    )
    stack.callback(database.close)
    caller = Caller(membership=membership, key=key, clock=clock)
    hub = HubClient(caller, trust=keys.trust(), proxy=proxy)
    stack.callback(hub.close)
    return Ground(
        home=home,
        membership=membership,
        settings=settings,
        approvals=load_approval_settings(home, environment=os.environ),
        console=load_console_settings(home, environment=os.environ),
        keys=keys,
        key=key,
        clock=clock,
        database=database,
        caller=caller,
        hub=hub,
        proxy=proxy,
    )
