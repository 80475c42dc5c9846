"""The room's section of the settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DataspaceSettings:
    """How patiently messages are sent, and how much is taken in.

    `patience_s` is how long an undelivered message is tried before its process
    is given up, `notice_patience_s` the same for a notice that belongs to no
    process; the waits between tries grow from `first_wait_s` to
    `longest_wait_s`. `senders` messages travel at once, one for each process.
    `largest_body` is in bytes. A page of the catalogue holds at most
    `page_entries` datasets and, beyond its first, `page_bytes`. A count below
    `smallest_count` is not shown in the catalogue unless the data are public.
    """

    patience_s: float = 3600.0
    notice_patience_s: float = 30 * 86400.0
    first_wait_s: float = 0.2
    longest_wait_s: float = 30.0
    senders: int = 8
    largest_body: int = 1 << 20
    smallest_count: int = 10
    page_entries: int = 50
    page_bytes: int = 1 << 18
