"""Eye phantoms: drawn photographs and scans of retinas that never were, with known disease.

For demonstrations and tests of learning from two kinds of image when some
hospitals own only one. Nobody's eye is behind them, and nothing that is
learned from them says anything about eyes.
"""

from consilium.readers.phantoms.patients import (
    CONDITIONS,
    PHANTOM_SITES,
    EyePhantom,
    PhantomSite,
    make_phantom,
    make_phantoms,
)
from consilium.readers.phantoms.writing import write_phantoms

__all__ = [
    "CONDITIONS",
    "PHANTOM_SITES",
    "EyePhantom",
    "PhantomSite",
    "make_phantom",
    "make_phantoms",
    "write_phantoms",
]
