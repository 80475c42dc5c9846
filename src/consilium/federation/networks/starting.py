"""Starting models: an open or earlier model from a file, known by its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from consilium.federation.networks.weights import Floats
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError
from consilium.models.weights import Arrays, unpack_arrays


def load_start(folder: Path, digest: str) -> dict[str, Floats]:
    """Read the safetensors file `<digest>.safetensors` of a folder, if it is what its name says.

    Parameters
    ----------
    folder : Path
        A folder of the hospital: its model store, or where it put an open model.
    digest : str
        SHA-256 of the file, 64 hexadecimal digits.

    Raises
    ------
    NotFoundError
        `federation.no_start_model`.
    IntegrityError
        `federation.start_model_changed` when the file's digest is another.
    InputError
        `models.not_weights`.

    Discloses
    ---------
    Nothing: it reads this machine's files.
    """
    file = folder / f"{digest}.safetensors"
    try:
        data = file.read_bytes()
    except OSError as error:
        raise NotFoundError("federation.no_start_model", digest=digest) from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise IntegrityError("federation.start_model_changed", digest=digest)
    return unpack_arrays(data)


def take_over(fresh: Arrays, given: Arrays, *, head: str) -> dict[str, Floats]:
    """Put a given model's arrays in the place of a fresh network's.

    The head is taken over only where its shapes are the same: another study may
    have other classes. Everything else must be there in the same shape.

    Parameters
    ----------
    fresh : mapping of str to array
        The network's own first weights.
    given : mapping of str to array
        The starting model's; what the network does not know is left out.
    head : str
        First part of the head's names, such as `fc`.

    Raises
    ------
    InputError
        `federation.other_network` naming the first array that is missing or has another shape.

    Discloses
    ---------
    Nothing.
    """
    taken: dict[str, Floats] = {}
    for name in sorted(fresh):
        fits = name in given and given[name].shape == fresh[name].shape
        if not fits and not name.startswith(f"{head}."):
            raise InputError("federation.other_network", array=name)
        taken[name] = given[name].astype(fresh[name].dtype) if fits else fresh[name]
    return taken
