"""Reading multipart bodies (RFC 2046 5.1, RFC 7578) part by part, without keeping them whole."""

from __future__ import annotations

import base64
import binascii
import json
import quopri
import zlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from email.message import Message
from typing import Any, Protocol, Self
from urllib.parse import parse_qsl

from multidict import CIMultiDict, CIMultiDictProxy

from .. import _core
from .exceptions import HTTPBadRequest, HTTPRequestEntityTooLarge

__all__ = ("BodyPartReader", "MultipartReader")

CHUNK = 8192
# Multipart bodies inside each other.
MAX_DEPTH = 8


class _Content(Protocol):
    async def readany(self) -> bytes: ...


class MalformedMultipartError(HTTPBadRequest, ValueError):
    """A multipart body that cannot be read: a ValueError, and the answer to it."""


class _Source:
    """What the parts of a body consist of, one event after the other."""

    def __init__(self, content: _Content, boundary: str) -> None:
        self.content = content
        self._parser = _core.MultipartParser(boundary.encode("ascii"))
        self._events: deque[list[tuple[bytes, bytes]] | bytes | None] = deque()

    async def event(self) -> list[tuple[bytes, bytes]] | bytes | None:
        """The headers of a part, a piece of its body, None at its end; b"" behind the last one."""
        while not self._events:
            if self._parser.done:
                return b""
            data = await self.content.readany()
            try:
                if not data:
                    self._parser.close()
                self._events.extend(self._parser.feed(data))
            except _core.HttpRequestError as exc:
                if exc.status == 413:
                    raise HTTPRequestEntityTooLarge(0, text=str(exc)) from exc
                raise MalformedMultipartError(text=str(exc)) from exc
        return self._events.popleft()


def _headers(pairs: list[tuple[bytes, bytes]]) -> CIMultiDictProxy[str]:
    """The headers of a part as a request's are."""
    return CIMultiDictProxy(
        CIMultiDict(
            (name.decode("ascii"), value.decode("utf-8", "surrogateescape"))
            for name, value in pairs
        )
    )


def parse_parameters(value: str) -> tuple[str, Mapping[str, str]]:
    """A field's value and its parameters (RFC 9110 5.6.6, RFC 8187), names in lower case."""
    message = Message()
    message["content-disposition"] = value
    parameters: dict[str, str] = {}
    for name, found in message.get_params([], header="content-disposition")[1:]:
        if isinstance(found, tuple):  # RFC 8187: charset, language, text
            charset, _, text = found
            try:
                found = text.encode("latin-1").decode(charset or "utf-8")
            except (LookupError, UnicodeError):
                continue
        parameters.setdefault(name.lower(), found)
    return value.partition(";")[0].strip().lower(), parameters


class BodyPartReader:
    """One part: its headers, and its body read as a whole or in chunks."""

    chunk_size = CHUNK

    def __init__(
        self,
        source: _Source,
        headers: CIMultiDictProxy[str],
        *,
        form_data: bool,
        default_charset: str | None,
        max_size: int,
        too_large: type[Exception],
    ) -> None:
        self.headers = headers
        self._source = source
        self._form_data = form_data
        self._default_charset = default_charset
        self._max_size = max_size
        self._too_large = too_large
        self._at_eof = False
        self._ended = False
        self._rest = b""
        self._line_rest = b""
        disposition = headers.get("Content-Disposition", "")
        self._disposition = parse_parameters(disposition)[1] if disposition else {}

    @property
    def name(self) -> str | None:
        """The form field's name."""
        return self._disposition.get("name")

    @property
    def filename(self) -> str | None:
        """The file's name, as the client gives it."""
        return self._disposition.get("filename")

    def at_eof(self) -> bool:
        """Whether all of it was read."""
        return self._at_eof

    async def readany(self) -> bytes:
        """The next bytes, at most :attr:`chunk_size`; empty at the end."""
        return await self.read_chunk()

    async def _take(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end."""
        while not self._rest and not self._ended:
            event = await self._source.event()
            if isinstance(event, bytes):
                self._rest = event
            else:
                self._ended = True
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    async def read_chunk(self, size: int = CHUNK) -> bytes:
        """At most `size` bytes; empty at the end. Base64 comes in whole quartets."""
        data = await self._take(size)
        if self._transfer_encoding() == "base64":
            while data and len(data.translate(None, b"\r\n \t")) % 4:
                more = await self._take(1)
                if not more:
                    break
                data += more
        self._at_eof = not data
        return data

    async def read(self, *, decode: bool = False) -> bytes:
        """The whole part. decode: undo Content-Transfer-Encoding and Content-Encoding."""
        data = bytearray()
        while chunk := await self.read_chunk(1 << 16):
            data += chunk
            if 0 < self._max_size < len(data):
                raise self._too_large(self._max_size)
        return self.decode(bytes(data)) if decode else bytes(data)

    async def readline(self) -> bytes:
        """The next line with its end; empty at the end of the part."""
        line = self._line_rest
        while b"\n" not in line and (chunk := await self.read_chunk(self.chunk_size)):
            line += chunk
        end = line.find(b"\n") + 1 or len(line)
        self._line_rest = line[end:]
        return line[:end]

    async def release(self) -> None:
        """Read the rest and drop it."""
        while await self.read_chunk(1 << 16):
            pass

    async def text(self, *, encoding: str | None = None) -> str:
        """The whole part as str, by its charset, else UTF-8."""
        return (await self.read(decode=True)).decode(encoding or self.get_charset("utf-8"))

    async def json(self, *, encoding: str | None = None) -> Any:
        """The whole part as JSON; None when it is empty."""
        text = await self.text(encoding=encoding)
        return json.loads(text) if text else None

    async def form(self, *, encoding: str | None = None) -> list[tuple[str, str]]:
        """The whole part as name and value pairs of a URL-encoded form."""
        encoding = encoding or self.get_charset("utf-8")
        text = (await self.text(encoding=encoding)).rstrip()
        return parse_qsl(text, keep_blank_values=True, encoding=encoding)

    def get_charset(self, default: str) -> str:
        """The charset of Content-Type, else that of the form, else `default`."""
        _, parameters = parse_parameters(self.headers.get("Content-Type", ""))
        charset = parameters.get("charset") or self._default_charset or default
        if len(charset) > 31:
            raise RuntimeError("Invalid default charset")
        return charset

    def _transfer_encoding(self) -> str:
        return self.headers.get("Content-Transfer-Encoding", "").lower()

    def decode(self, data: bytes) -> bytes:
        """`data` with Content-Transfer-Encoding undone and, outside forms, Content-Encoding."""
        encoding = self._transfer_encoding()
        if encoding == "base64":
            try:
                data = base64.b64decode(data)
            except binascii.Error as exc:
                raise ValueError(f"invalid base64 in a multipart body: {exc}") from None
        elif encoding == "quoted-printable":
            data = quopri.decodestring(data)
        elif encoding not in ("", "binary", "8bit", "7bit"):
            raise RuntimeError(f"unknown content transfer encoding: {encoding}")
        coding = self.headers.get("Content-Encoding", "").lower()
        if self._form_data or coding in ("", "identity"):  # RFC 7578 4.8
            return data
        return self._inflate(data, coding)

    def _inflate(self, data: bytes, coding: str) -> bytes:
        if coding not in ("deflate", "gzip"):
            raise RuntimeError(f"unknown content encoding: {coding}")
        raw = coding == "deflate" and data[:1] and (data[0] & 0x0F) != 8
        bits = 16 + zlib.MAX_WBITS if coding == "gzip" else zlib.MAX_WBITS
        inflater = zlib.decompressobj(-zlib.MAX_WBITS if raw else bits)
        limit = self._max_size + 1 if self._max_size > 0 else 0
        inflated = inflater.decompress(data, limit)
        if 0 < self._max_size < len(inflated):
            raise self._too_large(self._max_size)
        return inflated

    async def decode_iter(self, data: bytes) -> AsyncIterator[bytes]:
        """:meth:`decode` for ``async for``."""
        yield self.decode(data)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data


class MultipartReader:
    """The parts of a multipart body: ``async for part in reader`` or :meth:`next`.

    headers: of the message, with its Content-Type. content: the body, anything with readany().
    client_max_size: bytes of one part that read() takes, 0 is no limit; over it
    `max_size_error_cls` is raised. ValueError: no boundary. A malformed body is a ValueError too,
    and answered with 400 where nobody catches it.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        content: _Content,
        *,
        client_max_size: int = 0,
        max_size_error_cls: type[Exception] = ValueError,
        _depth: int = 0,
    ) -> None:
        content_type = headers.get("Content-Type", "")
        kind, parameters = parse_parameters(content_type)
        if not kind.startswith("multipart/"):
            raise ValueError(f"multipart/* content type expected, got {content_type!r}")
        boundary = parameters.get("boundary")
        if boundary is None:
            raise ValueError(f"boundary missed for Content-Type: {content_type}")
        if _depth > MAX_DEPTH:
            raise ValueError("multipart bodies nested too deeply")
        self.headers = headers
        self._depth = _depth
        self._form_data = kind == "multipart/form-data"
        self._max_size = client_max_size
        self._too_large = max_size_error_cls
        self._source = _Source(content, boundary)
        self._last: MultipartReader | BodyPartReader | None = None
        self._default_charset: str | None = None
        self._at_eof = False

    def at_eof(self) -> bool:
        """Whether the last boundary was read."""
        return self._at_eof

    async def next(self) -> MultipartReader | BodyPartReader | None:
        """The next part, or None. What was not read of the one before is dropped."""
        if self._at_eof:
            return None
        if self._last is not None:
            await self._last.release()
        while True:
            event = await self._source.event()
            if not isinstance(event, list):
                self._at_eof = True
                while await self._source.content.readany():
                    pass  # behind the last boundary
                return None
            part = self._part(_headers(event))
            if not await self._is_charset(part):
                self._last = part
                return part

    async def _is_charset(self, part: MultipartReader | BodyPartReader) -> bool:
        """RFC 7578 4.6: a first field named _charset_ gives the charset of the others."""
        if (
            self._last is not None
            or self._default_charset is not None
            or not self._form_data
            or not isinstance(part, BodyPartReader)
            or part.name != "_charset_"
        ):
            return False
        charset = await part.read()
        if len(charset) > 31:
            raise RuntimeError("Invalid default charset")
        self._default_charset = charset.decode("ascii", "replace").strip()
        return True

    def _part(self, headers: CIMultiDictProxy[str]) -> MultipartReader | BodyPartReader:
        part = BodyPartReader(
            self._source,
            headers,
            form_data=self._form_data,
            default_charset=self._default_charset,
            max_size=self._max_size,
            too_large=self._too_large,
        )
        if not headers.get("Content-Type", "").lower().startswith("multipart/"):
            return part
        return MultipartReader(
            headers,
            part,
            client_max_size=self._max_size,
            max_size_error_cls=self._too_large,
            _depth=self._depth + 1,
        )

    async def release(self) -> None:
        """Read the rest and drop it."""
        while await self.next() is not None:
            pass

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MultipartReader | BodyPartReader:
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part
