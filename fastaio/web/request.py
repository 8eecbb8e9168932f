"""Request: the native request and its cold half, forms and clones."""

from __future__ import annotations

import io
import re
import tempfile
import warnings
import weakref
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy
from yarl import URL

from .. import _core
from .exceptions import HTTPRequestEntityTooLarge
from .keys import ChainMapProxy, KeyedState, RequestKey
from .multipart import BodyPartReader, MultipartReader
from .version import HttpVersion

if TYPE_CHECKING:
    from .app import Application
    from .routes import UrlMappingMatchInfo
    from .typedefs import LooseHeaders, StrOrURL

__all__ = ("BaseRequest", "FileField", "Request")

# Bytes of an uploaded file that stay in memory; a larger one goes to a temporary file. So a body
# of many small files needs no descriptors.
SPOOL_SIZE = 1024 * 1024
POST_METHODS = frozenset(("PATCH", "POST", "PUT", "TRACE", "DELETE"))

# RFC 7239 4: a pair is token "=" (token / quoted-string); a port behind it is common.
_PAIR = re.compile(
    r"([\w!#$%&'*+.^`|~-]+)=([\w!#$%&'*+.^`|~-]+|\"(?:\\[\t !-~]|[\t !#-\[\]-~])*\")(:\d{1,4})?",
    re.ASCII,
)
_QUOTED_PAIR = re.compile(r"\\([\t !-~])")


class _Given:
    """Stands for "as it was" where None is a value."""


_SAME: Any = _Given()


@dataclass(frozen=True, slots=True)
class FileField:
    """An uploaded file of a form.

    name: of the form's field. filename: what the client calls the file. file: open for reading at
    its begin; closed when the request goes away. content_type: of the file. headers: of its part of
    the body (RFC 7578 4).
    """

    name: str
    filename: str
    file: IO[bytes]
    content_type: str
    headers: CIMultiDictProxy[str]


class BaseRequest(KeyedState, _core.Request):
    """A request as a low-level :class:`Server` gives it; a mapping of its own state."""

    _key_class = RequestKey
    _post: MultiDictProxy[Any] | None = None
    _client_max_fields: int = 1000

    def __new__(
        cls,
        message: Any,
        payload: Any,
        protocol: Any,
        payload_writer: Any,
        task: Any,
        loop: Any,
        *,
        client_max_size: int = 1024**2,
        client_max_fields: int = 1000,
        state: dict[Any, Any] | None = None,
        scheme: str | None = None,
        host: str | None = None,
        remote: str | None = None,
    ) -> Self:
        """A request made by hand, without a body: what aiohttp's make_mocked_request() calls.

        The server makes its requests without it.
        """
        request = cls._from_bytes(_head(message.method, message.url.raw_path_qs, message.headers))
        transport = protocol.transport
        peer = transport.get_extra_info("peername") if transport is not None else None
        given = {
            "version": HttpVersion(*message.version),
            "protocol": protocol,
            "transport": transport,
            "task": task,
            "loop": loop,
            "client_max_size": client_max_size,
            "state": {} if state is None else state,
            "remote": remote or (str(peer[0]) if isinstance(peer, list | tuple) else peer),
            "scheme": scheme or ("https" if protocol.ssl_context else "http"),
        }
        if host is not None:
            given["host"] = host
        request._override(**given)
        request._client_max_fields = client_max_fields
        return request

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport knows by this name; `default` when it does not, or is gone."""
        transport = self.transport
        return default if transport is None else transport.get_extra_info(name, default)

    # -- what proxies add -------------------------------------------------------------------------

    @property
    def forwarded(self) -> tuple[Mapping[str, str], ...]:
        """The Forwarded fields (RFC 7239), one mapping a proxy, as the proxies wrote them.

        A pair that is malformed is left out, with all up to the next comma.
        """
        elements: list[dict[str, str]] = []
        for value in self.headers.getall("Forwarded", ()):
            elements.extend(_forwarded_elements(value))
        return tuple(MappingProxyType(element) for element in elements)

    # -- the body ---------------------------------------------------------------------------------

    @property
    def has_body(self) -> bool:
        """Deprecated: can_read_body."""
        warnings.warn("Deprecated, use .can_read_body", DeprecationWarning, stacklevel=2)
        return self.can_read_body

    @property
    def client_max_fields(self) -> int:
        """Fields that a form may have; 0 is no limit."""
        return self._client_max_fields

    async def multipart(self) -> MultipartReader:
        """A reader of the parts of a multipart body. ValueError when it is none."""
        return MultipartReader(
            self.headers,
            self.content,
            client_max_size=self.client_max_size,
            max_size_error_cls=HTTPRequestEntityTooLarge,
        )

    async def post(self) -> MultiDictProxy[str | bytes | FileField]:
        """The form in the body, URL-encoded or multipart; empty when it is neither.

        Raises HTTPRequestEntityTooLarge over client_max_size bytes or client_max_fields fields,
        ValueError for a malformed form.
        """
        if self._post is None:
            form: MultiDict[Any] = MultiDict()
            if self.method in POST_METHODS:
                if self.content_type == "multipart/form-data":
                    await self._read_multipart(form)
                    weakref.finalize(self, _close_files, form)  # they live as long as the request
                elif self.content_type in (
                    "",
                    "application/x-www-form-urlencoded",
                    "application/octet-stream",
                ):
                    await self._read_urlencoded(form)
            self._post = MultiDictProxy(form)
        return self._post

    async def _read_urlencoded(self, form: MultiDict[Any]) -> None:
        if self.content_type == "application/octet-stream" and "Content-Type" in self.headers:
            return
        data = await self.read()
        if not data:
            return
        charset = self.charset or "utf-8"
        limit = self._client_max_fields
        text = data.rstrip().decode(charset)
        if 0 < limit <= text.count("&"):
            raise self._too_many_fields()
        form.extend(parse_qsl(text, keep_blank_values=True, encoding=charset))

    def _too_many_fields(self) -> HTTPRequestEntityTooLarge:
        limit = self._client_max_fields
        return HTTPRequestEntityTooLarge(
            limit, text=f"Maximum number of form fields {limit} exceeded."
        )

    async def _read_multipart(self, form: MultiDict[Any]) -> None:
        left = _Allowance(self.client_max_size)
        reader = await self.multipart()
        try:
            while (part := await reader.next()) is not None:
                if 0 < self._client_max_fields <= len(form):
                    raise self._too_many_fields()
                if not isinstance(part, BodyPartReader):
                    raise ValueError("To decode nested multipart you need to use custom reader")
                if part.name is None:
                    raise ValueError("Multipart field missing name.")
                if part.filename:
                    form.add(part.name, await self._read_file(part, left))
                else:
                    form.add(part.name, await self._read_field(part, left))
        except BaseException:
            _close_files(form)
            raise

    async def _read_field(self, part: BodyPartReader, left: _Allowance) -> str | bytearray:
        raw = bytearray()
        while chunk := await part.read_chunk(1 << 16):
            left.take(len(chunk))
            raw += chunk
        value = part.decode(bytes(raw))
        content_type = part.headers.get("Content-Type")
        if content_type is None or content_type.startswith("text/"):
            return value.decode(part.get_charset("utf-8"))
        return bytearray(value)

    async def _read_file(self, part: BodyPartReader, left: _Allowance) -> FileField:
        file = tempfile.SpooledTemporaryFile(SPOOL_SIZE)  # noqa: SIM115 - the form's from now on
        loop = self.loop
        size = 0
        try:
            while chunk := await part.read_chunk(1 << 16):
                left.take(len(chunk))
                data = part.decode(chunk)
                size += len(data)
                if size > SPOOL_SIZE:  # on the disk from here on
                    await loop.run_in_executor(None, file.write, data)
                else:
                    file.write(data)
            file.seek(0, io.SEEK_SET)
        except BaseException:
            file.close()
            raise
        assert part.name is not None
        assert part.filename is not None
        return FileField(
            part.name,
            part.filename,
            file,
            part.headers.get("Content-Type", "application/octet-stream"),
            part.headers,
        )

    # -- copies -----------------------------------------------------------------------------------

    def clone(
        self,
        *,
        method: str = _SAME,
        rel_url: StrOrURL = _SAME,
        headers: LooseHeaders = _SAME,
        scheme: str = _SAME,
        host: str = _SAME,
        remote: str = _SAME,
        client_max_size: int = _SAME,
        client_max_fields: int = _SAME,
    ) -> BaseRequest:
        """A copy with some attributes replaced. RuntimeError once the body was read."""
        if self.body_exists and not self.can_read_body:
            raise RuntimeError("Cannot clone request after reading its content")
        target = self.raw_path if rel_url is _SAME else str(URL(rel_url))
        fields = self.headers if headers is _SAME else CIMultiDict(headers)
        head = _head(self.method if method is _SAME else method, target, fields)
        copy = type(self)._from_bytes(head, b"", self)
        return self._cloned(copy, scheme, host, remote, client_max_size, client_max_fields)

    def _cloned(
        self,
        copy: BaseRequest,
        scheme: Any,
        host: Any,
        remote: Any,
        client_max_size: Any,
        client_max_fields: Any,
    ) -> BaseRequest:
        changed: dict[str, Any] = {
            "version": self.version,
            "state": dict(self.items()),
            "match_info": self.match_info,
            "app": self.app,
            "client_max_size": (
                self.client_max_size if client_max_size is _SAME else client_max_size
            ),
        }
        for name, value in (("scheme", scheme), ("host", host), ("remote", remote)):
            if value is not _SAME:
                changed[name] = value
            elif name != "host":
                changed[name] = getattr(self, name)
        copy._override(**changed)
        copy._client_max_fields = (
            self._client_max_fields if client_max_fields is _SAME else client_max_fields
        )
        return copy


MutableMapping.register(BaseRequest)


class Request(BaseRequest):
    """A request that an application handles."""

    @property
    def _match_info(self) -> UrlMappingMatchInfo:
        match_info: UrlMappingMatchInfo = self.match_info
        return match_info

    @_match_info.setter
    def _match_info(self, match_info: UrlMappingMatchInfo) -> None:
        self._override(match_info=match_info, app=match_info.current_app)

    @property
    def config_dict(self) -> ChainMapProxy:
        """The state of the current application and of those round it, the inner ones first."""
        apps: tuple[Application, ...] = self.match_info.apps
        inner_first = apps[apps.index(self.app) :: -1]
        return ChainMapProxy(inner_first)


class _Allowance:
    """Bytes that a form may still have."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def take(self, size: int) -> None:
        self.taken += size
        if 0 < self.limit < self.taken:
            raise HTTPRequestEntityTooLarge(self.limit)


def _head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """A request's head for the parser, which wants a Host field in 1.1 but not in 1.0."""
    version = "HTTP/1.1" if "Host" in headers else "HTTP/1.0"
    lines = [f"{method} {target} {version}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def _close_files(form: Mapping[str, Any]) -> None:
    for value in form.values():
        if isinstance(value, FileField):
            value.file.close()


def _forwarded_elements(value: str) -> list[dict[str, str]]:
    """The elements of one Forwarded field."""
    elements: list[dict[str, str]] = [{}]
    at, separated = 0, True
    while 0 <= at < len(value):
        pair = _PAIR.match(value, at) if separated else None
        if pair is not None:
            name, text, port = pair.groups()
            if text[0] == '"':
                text = _QUOTED_PAIR.sub(r"\1", text[1:-1])
            elements[-1][name.lower()] = text + (port or "")
            at = pair.end()
            separated = False
        elif value[at] in ",; \t":
            if value[at] == ",":
                elements.append({})
            separated = separated or value[at] in ",;"
            at += 1
        else:  # malformed: on to the next element
            at = value.find(",", at)
    return elements
