"""HTTP's version numbers as the named tuples that aiohttp has."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ("HttpVersion", "HttpVersion10", "HttpVersion11")


class HttpVersion(NamedTuple):
    """A version of HTTP; compares as the tuple it is."""

    major: int
    minor: int


HttpVersion10 = HttpVersion(1, 0)
HttpVersion11 = HttpVersion(1, 1)
