"""Media types of files by their names."""

from __future__ import annotations

from mimetypes import MimeTypes

__all__ = ("guess_type",)

_TYPES = MimeTypes()
# A compressed file is what it is: its suffix names a type and not an encoding.
# https://en.wikipedia.org/wiki/List_of_archive_formats#Compression_only
_TYPES.encodings_map.clear()
for _type, _suffix in (
    ("application/gzip", ".gz"),
    ("application/x-brotli", ".br"),
    ("application/x-bzip2", ".bz2"),
    ("application/x-compress", ".Z"),
    ("application/x-xz", ".xz"),
):
    _TYPES.add_type(_type, _suffix)


def guess_type(path: str) -> str:
    """The media type of the file at `path`; "application/octet-stream" when it is unknown."""
    return _TYPES.guess_type(path)[0] or "application/octet-stream"
