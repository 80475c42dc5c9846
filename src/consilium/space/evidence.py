"""The evidence log by the Python client: reading, proving, exporting."""

from __future__ import annotations

from pathlib import Path

from consilium.kernel.errors import NotFoundError
from consilium.ledger.verification import Verdict
from consilium.space.proof import verify_home
from consilium.space.wire import PAGE, Record, Speaker, Wire, items_of


class Evidence:
    """The hospital's evidence log."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self, *, after: int = 0, limit: int = 100) -> list[Record]:
        """List entries after a number, oldest first."""
        found: list[Record] = []
        while len(found) < limit:
            last = int(found[-1]["seq"]) if found else after
            wanted = min(limit - len(found), PAGE)
            page = items_of(self._wire.get("/evidence", after=last, limit=wanted), "items")
            found += page
            if len(page) < wanted:
                break
        return found

    def checkpoint(self) -> str:
        """Return the signed checkpoint over the whole log."""
        return str(self._wire.get("/evidence/checkpoint")["checkpoint"])

    def witnessed(self, participant: str) -> str | None:
        """Return the last checkpoint that a hub received of a member; None if it has none."""
        try:
            return str(self._wire.get(f"/witness/{participant}")["checkpoint"])
        except NotFoundError:
            return None

    def prove(self, seq: int) -> Record:
        """Return an entry with its inclusion proof under a cosigned checkpoint."""
        return dict(self._wire.get(f"/evidence/{seq}/proof"))

    def export(
        self,
        out: Path,
        *,
        first: int | None = None,
        last: int | None = None,
        subject: str = "",
        speaker: Speaker | None = None,
    ) -> Record:
        """Write one file by which an auditor proves entries offline; say what is in it.

        Where the node's settings ask for persons, it stays in the node until they have
        released it; the error then names its digest, under which `fetch` gets it.

        Parameters
        ----------
        out : Path
            Where to; an older file there is replaced.
        first, last : int or None
            Which entries, both ends included; None means the log's beginning or end.
        subject : str
            Instead of a range: all entries that name this study, agreement or other identifier.
        """
        wish = {"first": first, "last": last, "subject": subject}
        made = dict(self._wire.post("/evidence/exports", wish))
        self.fetch(str(made["digest"]), out, speaker=speaker)
        return made

    def fetch(self, digest: str, out: Path, *, speaker: Speaker | None = None) -> None:
        """Write an export that was made before; `speaker` is who carries it out."""
        self._wire.fetch(f"/evidence/exports/{digest}", out, speaker=speaker)

    def verify(self, *, checkpoint: str | None = None) -> Verdict:
        """Prove the log offline, from its files; the node need not run."""
        return verify_home(self._wire.home, checkpoint=checkpoint)
