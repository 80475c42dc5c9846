"""Hops within the folder: membership, settings, certificates, database, evidence, array files."""

from __future__ import annotations

from sqlalchemy import select

from consilium.dataspace.tables import DATASETS
from consilium.kernel.canonical import Digest
from consilium.kernel.errors import NotFoundError
from consilium.kernel.findings import Finding, report, report_failure
from consilium.ledger.certificates import load_certificate
from consilium.ledger.engines import open_engines
from consilium.ledger.examination import (
    check_certificates,
    check_database,
    check_evidence,
    check_home,
)
from consilium.ledger.files import BlobStore
from consilium.node.doctor.place import Place
from consilium.node.membership import ENGINE_CERTIFICATE, PARTICIPANT_CERTIFICATE, ROOT


def check_folder(place: Place) -> Finding:
    """Look at who this node is, and at its folder."""
    _ = place.membership
    return check_home(place.home, answers=place.status() is not None)


def check_settings(place: Place) -> Finding:
    """Read the settings as the node would at its start."""
    settings = place.settings
    return report("settings", "doctor.settings", min_cases=settings.min_cases)


def check_own(place: Place) -> Finding:
    """Look at the days that are left of the node's certificates and of the space's root."""
    names = (PARTICIPANT_CERTIFICATE, ENGINE_CERTIFICATE, ROOT)
    found = {name: load_certificate(place.keys.path / name) for name in names}
    return check_certificates(found, now=place.clock.now())


def check_tables(place: Place) -> Finding:
    """Open the database."""
    return check_database(place.database)


def check_log(place: Place) -> Finding:
    """Verify the evidence log."""
    return check_evidence(place.database, place.keys.signing_key().public)


def check_datasets(place: Place) -> Finding:
    """Look whether the array file of every dataset is there."""
    engines, blobs = open_engines(place.database, wait_s=5), BlobStore(place.home / "blobs")
    try:
        with engines.begin_read() as connection:
            rows = connection.execute(select(DATASETS.c.name, DATASETS.c.arrays)).all()
    finally:
        engines.close()
    missing = [str(name) for name, arrays in rows if not _is_there(blobs, Digest(arrays))]
    if missing:
        facts = {"missing": len(missing), "dataset": missing[0], "number": len(rows)}
        return report_failure("datasets", "doctor.arrays_missing", **facts)
    return report("datasets", "doctor.datasets", number=len(rows))


def _is_there(blobs: BlobStore, digest: Digest) -> bool:
    try:
        return blobs.path(digest).stat().st_size > 0
    except NotFoundError:
        return False
