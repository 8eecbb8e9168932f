"""Bodies of a Response that are not bytes: files, text, and what gives its pieces one by one."""

from __future__ import annotations

import asyncio
import io
import mimetypes
import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .multipart import BodyPartReader

__all__ = ("Payload", "make_payload")

# Bytes of a file read in one go, by a thread.
READ_SIZE = 64 * 1024

_Write = Callable[[bytes], Awaitable[None]]


class _Foreign(Protocol):
    """A payload of aiohttp, which its multipart writer and forms are."""

    size: int | None
    headers: Any
    content_type: str

    async def write(self, writer: Any) -> None: ...


class Payload:
    """What a Response reads its body from. headers: for the response; size: bytes, or None."""

    def __init__(self, content_type: str, size: int | None = None) -> None:
        self.headers = {"Content-Type": content_type}
        self.size = size

    async def write_to(self, write: _Write) -> None:
        """Await write() with each piece."""
        async for piece in self.pieces():
            await write(piece)

    def pieces(self) -> AsyncIterator[bytes]:
        """The body in pieces."""
        raise NotImplementedError

    async def close(self) -> None:
        """It was sent, or will not be."""


class _AsyncPieces(Payload):
    def __init__(self, source: AsyncIterable[bytes]) -> None:
        super().__init__("application/octet-stream")
        self._source = source

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._source:
            yield piece


class _File(Payload):
    """A file object, from where it stands; closed when it was sent."""

    def __init__(self, file: IO[Any]) -> None:
        name = getattr(file, "name", None)
        name = os.path.basename(name) if isinstance(name, str) and name[:1] not in "<" else None
        guessed = mimetypes.guess_type(name)[0] if name else None
        text = isinstance(file, io.TextIOBase)
        if text:
            kind = f"{guessed or 'text/plain'}; charset=utf-8"
        else:
            kind = guessed or "application/octet-stream"
        super().__init__(kind, None if text else self._length(file))
        self._file = file
        if name:
            self.headers["Content-Disposition"] = f'attachment; filename="{_escaped(name)}"'

    @staticmethod
    def _length(file: IO[Any]) -> int | None:
        try:
            here = file.tell()
            end = file.seek(0, io.SEEK_END)
            file.seek(here)
        except (OSError, ValueError):
            return None
        return end - here

    async def pieces(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while piece := await loop.run_in_executor(None, self._file.read, READ_SIZE):
            yield piece.encode("utf-8") if isinstance(piece, str) else piece

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._file.close)


class _Part(Payload):
    """A part of a multipart request, handed on as it comes."""

    def __init__(self, part: BodyPartReader) -> None:
        super().__init__(part.headers.get("Content-Type", "application/octet-stream"))
        self._part = part
        names = {"name": part.name, "filename": part.filename}
        given = [f'; {key}="{_escaped(value)}"' for key, value in names.items() if value]
        if given:
            self.headers["Content-Disposition"] = "attachment" + "".join(given)

    async def pieces(self) -> AsyncIterator[bytes]:
        while piece := await self._part.read_chunk(READ_SIZE):
            yield self._part.decode(piece)


def _escaped(value: str) -> str:
    """`value` for a quoted string (RFC 9110 5.6.4)."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


class _Writer:
    """The writer that a payload of aiohttp is given."""

    def __init__(self, write: _Write) -> None:
        self.write = write

    async def drain(self) -> None:
        pass


class _ForeignPayload(Payload):
    def __init__(self, payload: _Foreign) -> None:
        super().__init__(payload.content_type, payload.size)
        self.headers.update(payload.headers or {})
        self._payload = payload

    async def write_to(self, write: _Write) -> None:
        await self._payload.write(_Writer(write))

    async def close(self) -> None:
        close = getattr(self._payload, "close", None)
        if close is not None:
            await close()


def make_payload(body: Any) -> bytes | Payload:
    """`body` as what is sent. ValueError when it is of no kind that can be."""
    if isinstance(body, Payload):
        return body
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    if isinstance(body, str):
        return body.encode("utf-8")
    if isinstance(body, io.StringIO):
        return body.getvalue().encode("utf-8")
    if hasattr(body, "read_chunk") and hasattr(body, "headers"):  # a BodyPartReader
        return _Part(body)
    if isinstance(body, io.IOBase):
        return _File(body)  # type: ignore[arg-type]
    if hasattr(body, "write") and hasattr(body, "content_type") and hasattr(body, "headers"):
        return _ForeignPayload(body)
    if isinstance(body, AsyncIterable):
        return _AsyncPieces(body)
    raise ValueError(f"Unsupported body type {type(body)!r}")
