"""Open data to begin with: how to get it, and the schemas that read it.

The heart disease files are fetched from their archive and checked by
fingerprint. The breast cancer table comes with scikit-learn and is dealt out
to four invented hospitals, so that a demonstration needs no network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import httpx

from consilium.kernel.canonical import Digest, digest_of
from consilium.kernel.errors import IntegrityError, NotFoundError, PeerError
from consilium.ledger.files import digest_file, write_atomic

MAX_BYTES = 1 << 20
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenData:
    """A published data set: where its files lie, and what they must hash to."""

    base_url: str
    files: Mapping[str, Digest]
    credit: str


OPEN_DATA: Mapping[str, OpenData] = {
    "heart-disease": OpenData(
        base_url="https://archive.ics.uci.edu/ml/machine-learning-databases/heart-disease/",
        files={
            "processed.cleveland.data": Digest(
                "sha256:a74b7efa387bc9d108d7d0115d831fe9b414b29ae7124f331b622b4efa0427c8"
            ),
            "processed.hungarian.data": Digest(
                "sha256:d1ad108f785768cd3d7e82dc522e6f5a61eea93cccfb3a46ee8076f73fc3d796"
            ),
            "processed.switzerland.data": Digest(
                "sha256:834a405ccf5b66ab4056bb77794adc8df0b7125186454c0a1d002d33c6c3b314"
            ),
            "processed.va.data": Digest(
                "sha256:e7c93d8d0d2acdadfa4c5e8de768e2191e7f618b952e29623f1f0d5949ff6b8f"
            ),
        },
        credit="Janosi, Steinbrunn, Pfisterer, Detrano (1988), Heart Disease, "
        "UCI Machine Learning Repository, doi 10.24432/C52P4X, CC BY 4.0",
    ),
}
"""What `fetch` knows."""

SCHEMAS = ("heart-disease", "breast-cancer")


def schema_text(name: str) -> str:
    """Return the schema TOML of `heart-disease` or `breast-cancer`.

    Raises
    ------
    NotFoundError
        `readers.no_open_data`.
    """
    if name not in SCHEMAS:
        raise NotFoundError("readers.no_open_data", name=name, known=", ".join(SCHEMAS))
    page = files("consilium.readers").joinpath("schemas", f"{name}.toml")
    return page.read_text(encoding="utf-8")


def fetch(
    name: str,
    folder: Path,
    *,
    data: OpenData | None = None,
    progress: Callable[[str, float], None] = lambda _step, _done: None,
) -> list[Path]:
    """Download a data set, each file whole and checked or not at all.

    Files that are already there and right are left alone, so an interrupted
    download goes on where it stopped.

    Parameters
    ----------
    name : str
        A key of `OPEN_DATA`.
    folder : Path
        Made if needed.
    data : OpenData, optional
        Another place with other fingerprints; the default is `OPEN_DATA[name]`.
    progress : callable, optional
        Called with a file's name and the share of files done.

    Returns
    -------
    list of Path
        The files, in the set's order.

    Raises
    ------
    NotFoundError
        `readers.no_open_data`.
    PeerError
        `readers.not_fetched`: offline, or the archive answers otherwise.
    IntegrityError
        `readers.wrong_checksum`: the archive's file is not the published one.
    """
    found = data or OPEN_DATA.get(name)
    if found is None:
        raise NotFoundError("readers.no_open_data", name=name, known=", ".join(OPEN_DATA))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for place, (file, digest) in enumerate(found.files.items()):
        progress(file, place / len(found.files))
        path = folder / file
        if not path.is_file() or digest_file(path) != digest:
            body = _download(found.base_url + file, file)
            if digest_of(body) != digest:
                raise IntegrityError("readers.wrong_checksum", file=file)
            write_atomic(path, body, mode=0o644)
        paths.append(path)
    progress("", 1.0)
    return paths


def _download(url: str, file: str) -> bytes:
    body = bytearray()
    try:
        with httpx.stream("GET", url, timeout=TIMEOUT_S, follow_redirects=True) as answer:
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > MAX_BYTES:
                    raise IntegrityError("readers.wrong_checksum", file=file)
    except (httpx.HTTPError, OSError) as error:
        host = httpx.URL(url).host
        raise PeerError(
            "readers.not_fetched", file=file, host=host, detail=type(error).__name__
        ) from error
    return bytes(body)
