"""Consilium (会诊): hospitals that confer while no patient record leaves its hospital.

`consilium.connect(home)` opens a hospital's node for notebooks and scripts; see
`consilium.space.client`. Everything else is imported from its room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilium.kernel.version import __version__

if TYPE_CHECKING:
    from consilium.space.client import connect

__all__ = ["__version__", "connect"]


def __getattr__(name: str) -> object:
    # Loaded on demand: rooms below must not pull in the client by importing us.
    if name == "connect":
        from consilium.space.client import connect

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
