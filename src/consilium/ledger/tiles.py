"""The log as C2SP tlog-tiles: static files beside the database, derived from it.

A *tile* holds 256 hashes of one level of every eighth; a full one never
changes. What a proof needs is read from a handful of tiles, so making one
costs O(log n) however long the log is. The database stays the truth: the tree
over the tiles is compared with its root whenever they have grown, and tiles
that differ are thrown away and made again.

Entry bundles are not kept as files, they would be a second copy of the log.
They are written from the database for the node's own user, and leave the node
in no other form than an export (`consilium.ledger.exports`).
"""

from __future__ import annotations

import re
import shutil
import struct
import threading
from collections.abc import Iterable
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from consilium.kernel.errors import InputError, IntegrityError, NotFoundError, StateError
from consilium.ledger.algorithms import HASH_BYTES, TreeHash
from consilium.ledger.evidence import EvidenceLog
from consilium.ledger.files import replace_file
from consilium.ledger.notes import Checkpoint, read_checkpoint
from consilium.ledger.proofs import Proof, prove_consistency, prove_inclusion, range_root

WIDTH = 256
"""Hashes of a full tile, entries of a full bundle."""
_BITS = 8
_PATH = re.compile(r"tile/([0-5]|entries)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_LENGTH = struct.Struct(">H")
_CACHED = 1024


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Write where a tile is: `tile/0/x001/067`, with `.p/<width>` if it is not full."""
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[step : step + 3] for step in range(0, len(digits), 3)]
    name = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
    return f"tile/{level}/{name}" + (f".p/{width}" if width < WIDTH else "")


def fold(hashes: list[bytes], *, tree: TreeHash) -> list[bytes]:
    """Hash pairs: the next level above an even number of hashes."""
    digest, pairs = tree.digest, zip(hashes[::2], hashes[1::2], strict=True)
    return [digest(b"\x01" + left + right) for left, right in pairs]


def split_tile(data: bytes) -> list[bytes]:
    """Return the hashes of a tile.

    Raises
    ------
    IntegrityError
        `ledger.tile_damaged`.
    """
    if not data or len(data) % HASH_BYTES or len(data) > WIDTH * HASH_BYTES:
        raise IntegrityError("ledger.tile_damaged")
    return [data[step : step + HASH_BYTES] for step in range(0, len(data), HASH_BYTES)]


class LogTiles:
    """The tiles of one log, made as they are asked for; safe to use from many threads.

    Parameters
    ----------
    log : EvidenceLog
        What they are derived from.
    folder : Path
        Theirs alone; may be deleted at any time.
    """

    def __init__(self, log: EvidenceLog, folder: Path) -> None:
        self._log = log
        self._folder = folder
        self._lock = threading.RLock()
        self._size = 0
        self._full: list[int] = []
        self._open: list[list[bytes]] = []
        self._tile = lru_cache(maxsize=_CACHED)(self._read_levels)
        self._loaded = False

    def checkpoint(self) -> Checkpoint:
        """Hand out the log's present checkpoint, and make its tiles.

        Raises
        ------
        IntegrityError
            `ledger.head_damaged` if the entries do not give the signed root.
        StateError
            `ledger.disk_full`, `ledger.cannot_write`.
        """
        found = read_checkpoint(self._log.checkpoint())
        self.grow(found)
        return found

    def grow(self, to: Checkpoint) -> None:
        """Make every tile up to this checkpoint of the log; raises as `checkpoint` does."""
        with self._lock:
            if not self._loaded:
                self._load()
            try:
                for _ in range(2):
                    with closing(self._log.leaves(after=self._size, to=to.size)) as leaves:
                        self._add(leaves)
                    if self._size >= to.size and self._root(to.size) == to.root:
                        self._write_open(to)
                        return
                    self._forget()
            except StateError:
                self._loaded, self._size, self._full, self._open = False, 0, [], []
                raise
        raise IntegrityError("ledger.head_damaged")

    def rebuild(self) -> None:
        """Throw all tiles away, since a proof from them failed; `checkpoint` makes them again."""
        with self._lock:
            self._loaded = True
            self._forget()

    def inclusion(self, seq: int, size: int) -> Proof:
        """Prove that the entry `seq` (from 1) stands in the log of `size`; `grow` comes first."""
        with self._lock:
            self._check_size(size)
            return prove_inclusion(seq - 1, size, read=self.node, tree=self._log.tree)

    def consistency(self, old: int, new: int) -> Proof:
        """Prove that the log of size `new` begins with that of size `old`; `grow` comes first."""
        with self._lock:
            self._check_size(new)
            return prove_consistency(old, new, read=self.node, tree=self._log.tree)

    def node(self, level: int, index: int) -> bytes:
        """Return the root of a complete subtree: a `ReadNode`."""
        tiles, inner = divmod(level, _BITS)
        number, offset = divmod(index << inner, WIDTH)
        if number < self._full[tiles]:
            return self._tile(tiles, number)[inner][offset >> inner]
        hashes = self._open[tiles][offset : offset + (1 << inner)]
        while len(hashes) > 1:
            hashes = fold(hashes, tree=self._log.tree)
        return hashes[0]

    def read(self, path: str) -> bytes:
        """Return a file of the log by its C2SP path, `tile/...`.

        A partial tile is the beginning of any longer one, so an older width is
        served too.

        Raises
        ------
        NotFoundError
            `ledger.no_tile`.
        """
        found = _PATH.fullmatch(path)
        width = int(found[3] or WIDTH) if found else 0
        if found is None or not 0 < width <= WIDTH or (found[3] and width == WIDTH):
            raise NotFoundError("ledger.no_tile", path=path[:80])
        number = int(found[2].replace("x", "").replace("/", ""))
        if tile_path(found[1], number, width) != path:
            raise NotFoundError("ledger.no_tile", path=path[:80])
        with self._lock:
            if found[1] == "entries":
                data = self._bundle(number, width)
            else:
                data = self._hashes(int(found[1]), number)[: width * HASH_BYTES]
                data = data if len(data) == width * HASH_BYTES else b""
        if not data:
            raise NotFoundError("ledger.no_tile", path=path[:80])
        return data

    def tiles_for(self, places: Iterable[int], size: int) -> dict[str, bytes]:
        """Return the tiles by which these entries (from 1) can be proved in the log of `size`."""
        wanted: set[tuple[int, int]] = set()
        for level in range(_levels(size)):
            wanted |= {(level, (seq - 1) >> (_BITS * (level + 1))) for seq in places}
            wanted.add((level, ((size >> (_BITS * level)) - 1) >> _BITS))
        found = {}
        with self._lock:
            for level, number in sorted(wanted):
                width = min(WIDTH, (size >> (_BITS * level)) - number * WIDTH)
                if width > 0:
                    path = tile_path(level, number, width)
                    found[path] = self.read(path)
        return found

    def _check_size(self, size: int) -> None:
        if size > self._size:
            raise InputError("ledger.no_proof", seq=size, size=self._size)

    def _bundle(self, number: int, width: int) -> bytes:
        begin = number * WIDTH
        if begin + width > self._size:
            return b""
        bodies = self._log.bodies(after=begin, to=begin + width)
        return b"".join(_LENGTH.pack(len(body)) + body for body in bodies)

    def _hashes(self, level: int, number: int) -> bytes:
        if level >= len(self._full):
            return b""
        if number < self._full[level]:
            return b"".join(self._tile(level, number)[0])
        return b"".join(self._open[level]) if number == self._full[level] else b""

    def _read_levels(self, level: int, number: int) -> list[list[bytes]]:
        """Read a full tile and fold it: its own hashes, and those of the seven levels above."""
        try:
            hashes = split_tile((self._folder / tile_path(level, number)).read_bytes())
        except OSError as error:
            raise IntegrityError("ledger.tile_damaged") from error
        if len(hashes) != WIDTH:
            raise IntegrityError("ledger.tile_damaged")
        levels = [hashes]
        while len(levels) < _BITS:
            levels.append(fold(levels[-1], tree=self._log.tree))
        return levels

    def _root(self, size: int) -> bytes | None:
        """Return the root that the tiles give; None if they cannot be read."""
        try:
            return range_root(0, size, read=self.node, tree=self._log.tree)
        except (IntegrityError, IndexError):
            return None

    def _load(self) -> None:
        """Go on from the files that are there; whether they are right is seen by the root."""
        self._loaded = True
        try:
            size = read_checkpoint((self._folder / "checkpoint").read_text("utf-8")).size
            for level in range(_levels(size)):
                count = size >> (_BITS * level)
                full, rest = divmod(count, WIDTH)
                path = self._folder / tile_path(level, full, rest)
                self._full.append(full)
                self._open.append(split_tile(path.read_bytes()) if rest else [])
            self._size = size
        except (OSError, ValueError, InputError, IntegrityError, NotFoundError):
            self._forget()

    def _forget(self) -> None:
        self._size, self._full, self._open = 0, [], []
        self._tile.cache_clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _add(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            self._push(0, leaf)
            self._size += 1

    def _push(self, level: int, value: bytes) -> None:
        if level == len(self._open):
            self._open.append([])
            self._full.append(0)
        hashes = self._open[level]
        hashes.append(value)
        if len(hashes) < WIDTH:
            return
        replace_file(self._folder / tile_path(level, self._full[level]), b"".join(hashes))
        shutil.rmtree(self._partial(level), ignore_errors=True)
        self._full[level] += 1
        self._open[level] = []
        while len(hashes) > 1:
            hashes = fold(hashes, tree=self._log.tree)
        self._push(level + 1, hashes[0])

    def _write_open(self, to: Checkpoint) -> None:
        """Write the tiles that are not full, in the place of the shorter ones, and the note."""
        for level, hashes in enumerate(self._open):
            path = self._partial(level) / str(len(hashes))
            if hashes and not path.exists():
                shutil.rmtree(path.parent, ignore_errors=True)
                replace_file(path, b"".join(hashes))
        if to.size == self._size:
            replace_file(self._folder / "checkpoint", to.text.encode("utf-8"))

    def _partial(self, level: int) -> Path:
        return (self._folder / tile_path(level, self._full[level], 1)).parent


def _levels(size: int) -> int:
    """Return how many levels of tiles a log of this size has."""
    return -(-max(size.bit_length(), 1) // _BITS) if size else 0
