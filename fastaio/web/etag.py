"""Entity tags (RFC 9110 8.8.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ("ETAG_ANY", "ETag", "format_etag", "parse_etag")

ETAG_ANY = "*"
_CHARACTERS = r"[!\x23-\x7e\x80-\xff]+"
_VALUE = re.compile(_CHARACTERS)
_FIELD = re.compile(rf'(W/)?"({_CHARACTERS})"')


@dataclass(frozen=True, slots=True)
class ETag:
    """An entity tag.

    value: without its quotes; "*" stands for any. is_weak: it begins with ``W/``.
    """

    value: str
    is_weak: bool = False


def parse_etag(field: str | None) -> ETag | None:
    """The entity tag in the value of an ETag field; None when there is none in it."""
    if field == ETAG_ANY:
        return ETag(ETAG_ANY)
    match = _FIELD.fullmatch(field) if field else None
    return None if match is None else ETag(match[2], match[1] is not None)


def format_etag(tag: ETag | str) -> str:
    """The field value of `tag`. ValueError when it is no tag or has a quote in it."""
    value = tag if isinstance(tag, str) else getattr(tag, "value", None)
    if not isinstance(value, str):
        raise ValueError(f"Unsupported etag type: {type(tag)}. etag must be str, ETag or None")
    if value == ETAG_ANY:
        return value
    if not _VALUE.fullmatch(value):
        raise ValueError(f"Value {value!r} is not a valid etag. Maybe it contains '\"'?")
    weak = not isinstance(tag, str) and tag.is_weak
    return f'W/"{value}"' if weak else f'"{value}"'
