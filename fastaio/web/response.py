"""Responses: the native types and their cold half, cookies, validators and compression."""

from __future__ import annotations

import datetime
import enum
import math
import time
import warnings
from collections.abc import MutableMapping
from concurrent.futures import Executor
from email.utils import parsedate
from io import StringIO
from typing import TYPE_CHECKING, Any

from .. import _core
from .compression import SYNC_SIZE, Compressor
from .etag import ETag, format_etag, parse_etag
from .keys import KeyedState, ResponseKey
from .payload import Payload, make_payload

if TYPE_CHECKING:
    from .request import BaseRequest
    from .typedefs import JSONBytesEncoder, JSONEncoder, LooseHeaders

__all__ = (
    "ContentCoding",
    "Response",
    "StreamResponse",
    "json_bytes_response",
    "json_response",
)

_EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"
_HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"


class ContentCoding(enum.Enum):
    """The codings that a response can be compressed with; the first that the client takes."""

    deflate = "deflate"
    gzip = "gzip"
    identity = "identity"


class StreamResponse(KeyedState, _core.StreamResponse, metaclass=_core.ResponseMeta):
    """A response whose body is written piece by piece; a mapping of its own state.

    status: with `reason` or its standard phrase. headers: fields to send.
    """

    _key_class = ResponseKey
    _compression = False
    _compression_force: ContentCoding | None = None
    _compression_strategy: int | None = None

    _zlib_executor_size = SYNC_SIZE
    _zlib_executor: Executor | None = None

    # -- cookies ----------------------------------------------------------------------------------

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        expires: str | None = None,
        domain: str | None = None,
        max_age: int | str | None = None,
        path: str = "/",
        secure: bool | None = None,
        httponly: bool | None = None,
        version: str | None = None,
        samesite: str | None = None,
        partitioned: bool | None = None,
    ) -> None:
        """Set a cookie, or change the given attributes of one that was set (RFC 6265 4.1).

        max_age: seconds. expires: an HTTP date.
        """
        self.cookies[name] = value
        cookie = self.cookies[name]
        if expires is None and cookie.get("expires") == _EPOCH:
            del cookie["expires"]  # left over from del_cookie()
        if max_age is None:
            cookie.pop("max-age", None)
        given = {
            "expires": expires,
            "domain": domain,
            "max-age": None if max_age is None else str(max_age),
            "path": path,
            "secure": secure,
            "httponly": httponly,
            "version": version,
            "samesite": samesite,
            "partitioned": partitioned,
        }
        for attribute, setting in given.items():
            if setting is not None:
                cookie[attribute] = setting

    def del_cookie(
        self,
        name: str,
        *,
        domain: str | None = None,
        path: str = "/",
        secure: bool | None = None,
        httponly: bool | None = None,
        samesite: str | None = None,
    ) -> None:
        """Let the client drop a cookie, which has to have the same domain and path."""
        self.cookies.pop(name, None)
        self.set_cookie(
            name,
            "",
            max_age=0,
            expires=_EPOCH,
            domain=domain,
            path=path,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
        )

    # -- validators -------------------------------------------------------------------------------

    @property
    def last_modified(self) -> datetime.datetime | None:
        """The Last-Modified field; set it to a time, a datetime, a field value or None."""
        field = self.headers.get("Last-Modified")
        parsed = parsedate(field) if field is not None else None
        if parsed is None:
            return None
        try:
            return datetime.datetime(*parsed[:6], tzinfo=datetime.UTC)
        except ValueError:
            return None

    @last_modified.setter
    def last_modified(self, value: float | datetime.datetime | str | None) -> None:
        if value is None:
            self.headers.pop("Last-Modified", None)
            return
        if isinstance(value, datetime.datetime):
            if value.microsecond:
                value = value.replace(microsecond=0) + datetime.timedelta(seconds=1)
            value = time.strftime(_HTTP_DATE, value.utctimetuple())
        elif isinstance(value, int | float):
            value = time.strftime(_HTTP_DATE, time.gmtime(math.ceil(value)))
        elif not isinstance(value, str):
            raise TypeError(f"Unsupported type for last_modified: {type(value).__name__}")
        self.headers["Last-Modified"] = value

    @property
    def etag(self) -> ETag | None:
        """The ETag field; set it to an ETag, the value of a strong one, or None."""
        return parse_etag(self.headers.get("ETag"))

    @etag.setter
    def etag(self, value: ETag | str | None) -> None:
        if value is None:
            self.headers.pop("ETag", None)
        else:
            self.headers["ETag"] = format_etag(value)

    # -- compression ------------------------------------------------------------------------------

    @property
    def compression(self) -> bool:
        """Whether enable_compression() was called."""
        return self._compression

    def enable_compression(
        self, force: bool | ContentCoding | None = None, strategy: int | None = None
    ) -> None:
        """Compress the body with the first coding that the client accepts, or with `force`.

        strategy: one of zlib's.
        """
        if isinstance(force, bool):
            warnings.warn(
                "Using boolean for force is deprecated #3318", DeprecationWarning, stacklevel=2
            )
            force = ContentCoding.deflate if force else ContentCoding.identity
        assert force is None or isinstance(force, ContentCoding), (
            "force should one of None, bool or ContentEncoding"
        )
        self._compression = True
        self._compression_force = force
        self._compression_strategy = strategy
        self._cold = True

    def _chosen_coding(self, request: BaseRequest) -> ContentCoding:
        if self._compression_force is not None:
            return self._compression_force
        accepted = request.headers.get("Accept-Encoding", "").lower()
        for coding in ContentCoding:
            if coding.value in accepted:
                return coding
        return ContentCoding.identity

    def _compressor(self, coding: ContentCoding) -> Compressor:
        self.headers["Content-Encoding"] = coding.value
        self.headers.popall("Content-Length", None)
        return Compressor(
            coding.value,
            self._compression_strategy,
            self._zlib_executor_size,
            self._zlib_executor,
        )

    async def _compress(self, coding: ContentCoding) -> None:
        """Let all that is written from now on be compressed on its way."""
        compressor = self._compressor(coding)
        write, write_eof = self.write, self.write_eof

        async def write_compressed(data: bytes) -> None:
            piece = await compressor.compress(data)
            if piece:
                await write(piece)

        async def write_compressed_eof(data: bytes = b"") -> None:
            if not self._eof_sent:
                await write_compressed(data)
                await write_eof(compressor.flush())

        # The instance's own methods: a class with other methods would make all responses slow.
        self.write = write_compressed  # type: ignore[method-assign,assignment]
        self.write_eof = write_compressed_eof  # type: ignore[method-assign,assignment]

    async def _prepare_slow(self, request: BaseRequest) -> StreamResponse:
        """prepare() where Python has a part in it: signals and compression."""
        for app in getattr(request.match_info, "apps", ()):
            if len(app.on_response_prepare):
                await app.on_response_prepare.send(request, self)
        if self._compression and not self.prepared:
            coding = self._chosen_coding(request)
            if coding is not ContentCoding.identity:
                await self._compress(coding)
        self._start(request)
        return self


class Response(_core.Response, StreamResponse):
    """A response whose body is known: bytes, `text`, a file object, or an async iterable.

    ValueError for contradicting arguments. content_type: without its charset.
    zlib_executor_size: bytes above which a body is compressed by `zlib_executor`.
    """

    def _make_payload(self, body: Any) -> bytes | Payload:
        """What a body that is not bytes is sent as; sets the fields that it asks for."""
        payload = make_payload(body)
        if isinstance(payload, Payload):
            for name, value in payload.headers.items():
                self.headers.setdefault(name, value)
        elif isinstance(body, str | StringIO):
            self.headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        return payload

    async def _compress(self, coding: ContentCoding) -> None:
        body = self.body
        if body is None:
            return
        if isinstance(body, Payload):
            await super()._compress(coding)
            return
        compressor = self._compressor(coding)
        self.body = await compressor.compress(body) + compressor.flush()

    async def _prepare_slow(self, request: BaseRequest) -> StreamResponse:
        payload = self.body
        if isinstance(payload, Payload) and payload.size is not None and not self.chunked:
            self.headers.setdefault("Content-Length", str(payload.size))
        await super()._prepare_slow(request)
        if isinstance(self.body, Payload):
            self._send_payload(self.body)
        return self

    def _send_payload(self, payload: Payload) -> None:
        """Let write_eof() send the payload first."""
        write_eof = self.write_eof

        async def write_payload_eof(data: bytes = b"") -> None:
            if not self._eof_sent:
                try:
                    await payload.write_to(self.write)
                finally:
                    await payload.close()
                await write_eof()

        self.write_eof = write_payload_eof  # type: ignore[method-assign,assignment]


_core.response_setup(Response)
MutableMapping.register(StreamResponse)

if TYPE_CHECKING:

    def json_response(
        data: Any = ...,
        *,
        text: str | None = None,
        body: bytes | None = None,
        status: int = 200,
        reason: str | None = None,
        headers: LooseHeaders | None = None,
        content_type: str = "application/json",
        dumps: JSONEncoder = ...,
    ) -> Response:
        """A response of `data` as JSON, or of `text` or `body` that is JSON already."""
        ...

else:
    json_response = _core.json_response


_NOTHING: Any = object()


def json_bytes_response(
    data: Any = _NOTHING,
    *,
    dumps: JSONBytesEncoder,
    body: bytes | None = None,
    status: int = 200,
    reason: str | None = None,
    headers: LooseHeaders | None = None,
    content_type: str = "application/json",
) -> Response:
    """A response of `data` as JSON by an encoder that gives bytes."""
    if data is not _NOTHING:
        if body is not None:
            raise ValueError("only one of data or body should be specified")
        body = dumps(data)
    return Response(
        body=body, status=status, reason=reason, headers=headers, content_type=content_type
    )
