"""Entity tags as attributes of requests and responses (RFC 9110 8.8.3)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("ETAG_ANY", "ETag")

ETAG_ANY = "*"


@dataclass(frozen=True, slots=True)
class ETag:
    """An entity tag: its value without quotes, and whether it is weak (W/)."""

    value: str
    is_weak: bool = False
