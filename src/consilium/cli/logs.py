"""What a serving process writes to its log: our own words, times in UTC."""

from __future__ import annotations

import logging
import time

_TOO_CHATTY = ("httpx", "httpcore", "alembic", "uvicorn.access")


def begin_log() -> None:
    """Write the log to the standard error, a line for each event."""
    writer = logging.StreamHandler()
    form = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s")
    form.converter = time.gmtime
    form.default_time_format = "%Y-%m-%dT%H:%M:%S"
    form.default_msec_format = "%s.%03d"
    writer.setFormatter(form)
    logging.basicConfig(level=logging.INFO, handlers=[writer])
    for name in _TOO_CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
