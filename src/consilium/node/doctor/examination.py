"""The hops of a node in their order, and what each stands on.

Local hops come first, then the way to the hub: name, proxy, connection,
certificate, clock, the hub's interface, its relay, its engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from consilium.kernel.clock import Clock
from consilium.kernel.findings import Check, Finding, examine
from consilium.ledger.examination import check_disk, check_program
from consilium.node.doctor import folder, space, way
from consilium.node.doctor.place import Place


def examine_node(
    home: Path, *, environment: Mapping[str, str], clock: Clock, timeout_s: float = 5.0
) -> Iterator[Finding]:
    """Examine a node, whether or not it is being served.

    Parameters
    ----------
    home : Path
        The node's folder.
    environment : mapping
        Variables of this process: settings and proxies.
    clock : Clock
        Held against the hub's.
    timeout_s : float
        For each step on the network.

    Discloses
    ---------
    To the hub: that this member looks, by two signed requests and one to itself.
    """
    place = Place(
        home=home.resolve(), environment=dict(environment), clock=clock, timeout_s=timeout_s
    )
    return examine(_checks(place))


def _checks(place: Place) -> list[Check]:
    """List all hops; this table is the doctor's whole round."""
    away = ("home", "settings")
    return [
        Check(hop="program", run=check_program),
        Check(hop="home", run=lambda: folder.check_folder(place)),
        Check(hop="settings", run=lambda: folder.check_settings(place), needs=("home",)),
        Check(hop="disk", run=lambda: check_disk(place.home), needs=("home",)),
        Check(hop="certificate", run=lambda: folder.check_own(place), needs=("home",)),
        Check(hop="database", run=lambda: folder.check_tables(place), needs=away),
        Check(hop="evidence", run=lambda: folder.check_log(place), needs=("database",)),
        Check(hop="datasets", run=lambda: folder.check_datasets(place), needs=("database",)),
        Check(hop="dns", run=lambda: way.check_name(place), needs=away),
        Check(hop="proxy", run=lambda: way.check_proxy(place), needs=("dns",)),
        Check(hop="tcp", run=lambda: way.check_connection(place), needs=("proxy",)),
        Check(hop="tls", run=lambda: way.check_tls(place), needs=("tcp",)),
        Check(hop="clock", run=lambda: way.check_clock(place), needs=("tls",)),
        Check(hop="hub", run=lambda: space.check_hub(place), needs=("clock", "certificate")),
        Check(hop="relay", run=lambda: space.check_relay(place), needs=("hub",)),
        Check(hop="engine", run=lambda: space.check_engine(place), needs=("proxy", "certificate")),
    ]
