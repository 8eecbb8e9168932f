"""Types of the C side. What is private to fastaio is here where its Python files use it."""

import asyncio
import concurrent.futures
import datetime
import socket
from abc import ABCMeta
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
)
from concurrent.futures import Executor
from contextvars import Context
from http.cookies import SimpleCookie
from os import PathLike
from re import Pattern
from typing import Any, Final, Protocol, Self, TypeAlias, TypeVar, final

import yarl
from _typeshed import structseq
from multidict import CIMultiDict, CIMultiDictProxy, MultiDictProxy, istr
from typing_extensions import Buffer, TypeVarTuple, Unpack

from .web.etag import ETag
from .web.version import HttpVersion

_T = TypeVar("_T")
_R = TypeVar("_R", bound=type[Response])
_Ts = TypeVarTuple("_Ts")
_Headers: TypeAlias = Mapping[str, str] | Mapping[istr, str] | Iterable[tuple[str | istr, str]]

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

_File: TypeAlias = int | _HasFileno
_Watched: TypeAlias = tuple[int, int, Any, asyncio.Handle | None, asyncio.Handle | None]
_Pairs: TypeAlias = list[tuple[str, str]]

# -- what the running Python does (base/compat.h) --------------------------------------------------

CURRENT_TASKS_SWAP: Final[bool]
FORKS_DROP_WAKEUP: Final[bool]
FORMATS_BY_DEBUG: Final[bool]
LOOPS_TAKE_STATUS: Final[bool]
LOOPS_WATCH_CHILDREN: Final[bool]
RUNS_AWAITABLES: Final[bool]
SOCKETS_HAVE_ONE_TRANSPORT: Final[bool]
SUBPROCESSES_END_WITH_LOOP: Final[bool]

# -- loop -----------------------------------------------------------------------------------------

class Loop:
    _allows_nested: bool
    _closed: bool
    _debug: bool
    _stopping: bool
    _thread_id: int | None
    _task_factory: Callable[..., Any] | None
    _current_handle: asyncio.Handle | None
    @property
    def _ready(self) -> list[asyncio.Handle]: ...
    @property
    def _scheduled(self) -> list[asyncio.TimerHandle]: ...
    def call_soon(
        self,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle: ...
    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle: ...
    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle: ...
    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle: ...
    def time(self) -> float: ...
    def create_future(self) -> asyncio.Future[Any]: ...
    def create_task(
        self,
        coro: Coroutine[Any, Any, _T] | Generator[Any, None, _T],
        *,
        name: object = None,
        context: Context | None = None,
        **kwargs: Any,
    ) -> asyncio.Task[_T]: ...
    def add_reader(
        self, fd: _File, callback: Callable[[Unpack[_Ts]], Any], *args: *_Ts
    ) -> None: ...
    def add_writer(
        self, fd: _File, callback: Callable[[Unpack[_Ts]], Any], *args: *_Ts
    ) -> None: ...
    def remove_reader(self, fd: _File) -> bool: ...
    def remove_writer(self, fd: _File) -> bool: ...
    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]: ...
    async def sock_connect(self, sock: socket.socket, address: Any) -> None: ...
    async def sock_recv(self, sock: socket.socket, n: int) -> bytes: ...
    async def sock_recv_into(self, sock: socket.socket, buf: Buffer) -> int: ...
    async def sock_recvfrom(self, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]: ...
    async def sock_recvfrom_into(
        self, sock: socket.socket, buf: Buffer, nbytes: int = 0
    ) -> tuple[int, Any]: ...
    async def sock_sendall(self, sock: socket.socket, data: Buffer) -> None: ...
    async def sock_sendto(self, sock: socket.socket, data: Buffer, address: Any) -> int: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...
    def is_running(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def get_debug(self) -> bool: ...
    def _poll(self, timeout: float | None, /) -> list[tuple[int, int]]: ...
    def _found(self, fd: int, events: int, /) -> None: ...
    def _watches(self) -> list[_Watched]: ...
    def _run(self) -> None: ...
    def _run_nested(self) -> bool: ...
    def _run_once(self) -> None: ...
    def _metrics(
        self,
    ) -> tuple[
        int, int, int, int, int, float, float, float, float, float, int, int, int, int, int, int
    ]: ...
    def _before_fork(self) -> None: ...
    def _after_fork(self) -> None: ...
    def _check_closed(self) -> None: ...
    def _check_idle(self) -> None: ...
    def _add_callback(self, handle: asyncio.Handle, /) -> None: ...
    def _new_handle(
        self, callback: Callable[..., object], /, *args: Any, context: Context | None = None
    ) -> asyncio.Handle: ...
    def _look_up(
        self, host: Any, port: Any, family: Any, type: Any, proto: Any, flags: Any, /
    ) -> asyncio.Future[list[Any]] | None: ...
    def _forget_look_up(self, future: asyncio.Future[Any], /) -> None: ...
    def _chain_future(self, source: concurrent.futures.Future[_T], /) -> asyncio.Future[_T]: ...
    def _ensure_fd_no_transport(self, fd: _File, /) -> None: ...
    def _add_reader(
        self,
        fd: _File,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.Handle: ...
    def _add_writer(
        self,
        fd: _File,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.Handle: ...
    def _ready_take(self, index: int, /) -> asyncio.Handle: ...
    def _scheduled_put(self, handle: asyncio.TimerHandle, /) -> None: ...
    def _scheduled_take(self, handle: asyncio.TimerHandle, /) -> None: ...
    def _remove_reader(self, fd: _File, /) -> bool: ...
    def _remove_writer(self, fd: _File, /) -> bool: ...
    def _signal_guard(self, on: bool, /) -> bool: ...
    def _signal_heed(self) -> None: ...
    def _signal_wakeup_fd(self) -> int: ...
    def _watched(self, fd: _File, /) -> _Watched | None: ...
    def _write_to_self(self) -> None: ...

@final
class Ready:
    def __iter__(self) -> Ready: ...
    def __next__(self) -> Any: ...
    def __await__(self) -> Generator[Any, None, Any]: ...

# -- net ------------------------------------------------------------------------------------------

class Link(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport, /) -> None: ...
    def data_received(self, data: bytes, /) -> None: ...
    def connection_lost(self, exc: Exception | None, /) -> None: ...

@final
class Transport(asyncio.Transport):
    max_size: int
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
        server: asyncio.AbstractServer | None = None,
        context: Context | None = None,
    ) -> None: ...

class TLSLink(Link):
    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    def _attach(self, transport: asyncio.BaseTransport, /) -> None: ...
    def _feed(self, data: Buffer, /) -> None: ...

class SSLTransport(asyncio.Transport):
    def __init__(self, loop: asyncio.AbstractEventLoop, ssl_protocol: TLSLink) -> None: ...

@final
class DatagramTransport(asyncio.DatagramTransport):
    max_size: int
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None: ...
    def get_write_buffer_limits(self) -> tuple[int, int]: ...
    def get_write_buffer_size(self) -> int: ...
    def is_reading(self) -> bool: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

@final
class ReadPipeTransport(asyncio.ReadTransport):
    max_size: int
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None: ...

@final
class WritePipeTransport(asyncio.WriteTransport):
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pipe: Any,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None: ...

def numeric_address(
    host: object, port: object, /, *hints: object
) -> tuple[str, int] | tuple[str, int, int, int] | None: ...

@final
class Listener:
    def __new__(
        cls,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        server: asyncio.AbstractServer | None = None,
        backlog: int = 64,
        on_accept: Callable[[socket.socket, Any], object] | None = None,
        context: Context | None = None,
    ) -> Self: ...
    def stop(self) -> None: ...

# -- http -----------------------------------------------------------------------------------------

class HttpParserError(Exception): ...
class HttpParserCallbackError(HttpParserError): ...
class HttpParserInvalidMethodError(HttpParserError): ...
class HttpParserInvalidStatusError(HttpParserError): ...
class HttpParserInvalidURLError(HttpParserError): ...
class HttpParserUpgrade(Exception): ...  # noqa: N818 (httptools' name)

class HttpRequestError(HttpParserError):
    status: int

@final
class HttpRequestParser:
    def __init__(self, protocol: object) -> None: ...
    def feed_data(self, data: Buffer, /) -> None: ...
    def get_http_version(self) -> str: ...
    def get_method(self) -> bytes: ...
    def should_keep_alive(self) -> bool: ...
    def should_upgrade(self) -> bool: ...

@final
class HttpResponseParser:
    def __init__(self, protocol: object) -> None: ...
    def feed_data(self, data: Buffer, /) -> None: ...
    def get_http_version(self) -> str: ...
    def get_status_code(self) -> int: ...
    def should_keep_alive(self) -> bool: ...
    def should_upgrade(self) -> bool: ...

@final
class RequestHead(
    structseq[Any],
    tuple[
        str,
        bytes,
        bytes,
        bytes,
        bytes,
        int,
        list[tuple[bytes, bytes]],
        bool,
        int | None,
        bool,
        bool,
        bool,
    ],
):
    __match_args__: Final = (
        "method",
        "target",
        "path",
        "query",
        "host",
        "minor",
        "headers",
        "keep_alive",
        "content_length",
        "chunked",
        "expect_continue",
        "upgrade",
    )
    @property
    def method(self) -> str: ...
    @property
    def target(self) -> bytes: ...
    @property
    def path(self) -> bytes: ...
    @property
    def query(self) -> bytes: ...
    @property
    def host(self) -> bytes: ...
    @property
    def minor(self) -> int: ...
    @property
    def headers(self) -> list[tuple[bytes, bytes]]: ...
    @property
    def keep_alive(self) -> bool: ...
    @property
    def content_length(self) -> int | None: ...
    @property
    def chunked(self) -> bool: ...
    @property
    def expect_continue(self) -> bool: ...
    @property
    def upgrade(self) -> bool: ...

@final
class RequestReader:
    def __new__(
        cls,
        *,
        line: int = 8190,
        field: int = 8190,
        fields: int = 128,
        head: int = 65536,
        body: int = 1048576,
    ) -> Self: ...
    def feed(self, data: Buffer, /) -> list[RequestHead | bytes | None]: ...

@final
class MultipartParser:
    def __new__(cls, boundary: Buffer, *, parts: int = 1000, head: int = 8190) -> Self: ...
    def feed(self, data: Buffer, /) -> list[list[tuple[bytes, bytes]] | bytes | None]: ...
    def close(self) -> None: ...
    @property
    def done(self) -> bool: ...

@final
class StreamReader:
    total_bytes: int
    def __new__(
        cls, protocol: object, limit: int, *, loop: asyncio.AbstractEventLoop | None = None
    ) -> Self: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def read(self, n: int = -1) -> bytes: ...
    async def readany(self) -> bytes: ...
    async def readexactly(self, n: int) -> bytes: ...
    async def readuntil(
        self, separator: bytes = b"\n", *, max_size: int | None = None
    ) -> bytes: ...
    async def readline(self, *, max_line_length: int | None = None) -> bytes: ...
    async def readchunk(self) -> tuple[bytes, bool]: ...
    async def wait_eof(self) -> None: ...
    def read_nowait(self, n: int = -1) -> bytes: ...
    def iter_chunked(self, n: int) -> AsyncIterator[bytes]: ...
    def iter_any(self) -> AsyncIterator[bytes]: ...
    def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]: ...
    def at_eof(self) -> bool: ...
    def is_eof(self) -> bool: ...
    def exception(self) -> BaseException | None: ...
    def on_eof(self, callback: Callable[[], object], /) -> None: ...
    def get_read_buffer_limits(self) -> tuple[int, int]: ...
    def set_read_chunk_size(self, n: int, /) -> None: ...
    def feed_data(self, data: Buffer, size: int = 0, /) -> None: ...
    def feed_eof(self) -> None: ...
    def end_http_chunk_receiving(self) -> None: ...
    def set_exception(
        self, exc: BaseException, exc_cause: BaseException | None = None, /
    ) -> None: ...

@final
class URL:
    schema: bytes | None
    host: bytes | None
    port: int | None
    path: bytes | None
    query: bytes | None
    fragment: bytes | None
    userinfo: bytes | None

def http_date(seconds: int, /) -> str: ...
def parse_cookies(field: Buffer, /) -> _Pairs: ...
def parse_http_date(text: str, /) -> int | None: ...
def parse_query(query: Buffer, /) -> _Pairs: ...
def parse_url(url: Buffer, /) -> URL: ...
def response_head(
    status: int, headers: Iterable[tuple[bytes, bytes]] = (), /, *, reason: bytes | None = None
) -> bytes: ...
def unquote(text: Buffer, /, *, plus: bool = False) -> str: ...

# -- server ---------------------------------------------------------------------------------------

class MatchInfo(dict[str, str]):
    route: Any
    def __init__(self, values: dict[str, str], route: Any = None) -> None: ...

@final
class Route:
    handler: Callable[..., Any]
    info: Any
    app: Any
    names: tuple[str, ...]
    signals: bool
    def __new__(
        cls,
        handler: Callable[..., Any],
        info: Any = None,
        app: Any = None,
        names: tuple[str, ...] = (),
        match_info: type[MatchInfo] | None = None,
        signals: bool = False,
    ) -> Self: ...

@final
class Router:
    def __new__(cls, match_info: type[MatchInfo] | None = None) -> Self: ...
    def add(
        self,
        method: str,
        path: str,
        handler: Callable[..., Any],
        *,
        info: Any = None,
        app: Any = None,
        signals: bool = False,
        pattern: Pattern[str] | None = None,
    ) -> Route: ...
    def add_prefix(
        self,
        method: str,
        prefix: str,
        handler: Callable[..., Any],
        *,
        info: Any = None,
        app: Any = None,
        signals: bool = False,
    ) -> Route: ...
    def add_router(self, prefix: str, router: Router, /) -> None: ...
    def add_rule(self, matches: Callable[[str], object], router: Router, /) -> None: ...
    def resolve(self, method: str, path: str, host: str = "", /) -> tuple[Route, MatchInfo]: ...
    def set_fallback(
        self,
        not_found: Route,
        method_not_allowed: Callable[[str, set[str]], Route] | None = None,
        /,
    ) -> None: ...

class Request(MutableMapping[Any, Any]):
    _match_info: Any
    app: Any
    body_exists: bool
    can_read_body: bool
    charset: str | None
    client_max_size: int
    content: StreamReader
    content_length: int | None
    content_type: str
    cookies: Mapping[str, str]
    headers: CIMultiDictProxy[str]
    host: str
    http_range: slice
    if_match: tuple[ETag, ...] | None
    if_modified_since: datetime.datetime | None
    if_none_match: tuple[ETag, ...] | None
    if_range: datetime.datetime | None
    if_unmodified_since: datetime.datetime | None
    keep_alive: bool
    loop: asyncio.AbstractEventLoop
    match_info: Any
    method: str
    path: str
    path_qs: str
    protocol: Any
    query: MultiDictProxy[str]
    query_string: str
    raw_headers: tuple[tuple[bytes, bytes], ...]
    raw_path: str
    rel_url: yarl.URL
    remote: str | None
    scheme: str
    secure: bool
    task: asyncio.Task[Any] | None
    transport: asyncio.Transport | None
    url: yarl.URL
    version: HttpVersion
    @classmethod
    def _from_bytes(
        cls, head: bytes, body: bytes = b"", like: Request | None = None, /
    ) -> Self: ...
    @property
    def has_body(self) -> bool: ...
    def _override(self, **attributes: Any) -> None: ...
    def get_extra_info(self, name: str, default: Any = None) -> Any: ...
    def json(self, *, loads: Callable[[str], Any] = ...) -> Awaitable[Any]: ...
    def read(self) -> Awaitable[bytes]: ...
    def release(self) -> Awaitable[None]: ...
    def text(self) -> Awaitable[str]: ...
    def __bool__(self) -> bool: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __delitem__(self, key: Any, /) -> None: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def __setitem__(self, key: Any, value: Any, /) -> None: ...

class ResponseMeta(ABCMeta): ...

class StreamResponse(MutableMapping[Any, Any], metaclass=ResponseMeta):
    _cold: bool
    _cookies: SimpleCookie | None
    _eof_sent: bool
    _req: Request | None
    body_length: int
    charset: str | None
    chunked: bool
    content_length: int | None
    content_type: str
    cookies: SimpleCookie
    headers: CIMultiDict[str]
    keep_alive: bool | None
    prepared: bool
    reason: str
    status: int
    task: asyncio.Task[Any] | None
    def __init__(
        self, *, status: int = 200, reason: str | None = None, headers: _Headers | None = None
    ) -> None: ...
    def _start(self, request: Request, /) -> None: ...
    def drain(self) -> Awaitable[None]: ...
    def enable_chunked_encoding(self, chunk_size: int | None = None) -> None: ...
    def force_close(self) -> None: ...
    def prepare(self, request: Request, /) -> Awaitable[Self | None]: ...
    def set_status(self, status: int, reason: str | None = None) -> None: ...
    def write(self, data: Buffer, /) -> Awaitable[None]: ...
    def write_eof(self, data: Buffer = b"") -> Awaitable[None]: ...
    def __bool__(self) -> bool: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __delitem__(self, key: Any, /) -> None: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def __setitem__(self, key: Any, value: Any, /) -> None: ...

class Response(StreamResponse):
    body: Any
    text: str | None
    def __init__(
        self,
        *,
        body: Any = None,
        status: int = 200,
        reason: str | None = None,
        text: str | None = None,
        headers: _Headers | None = None,
        content_type: str | None = None,
        charset: str | None = None,
        zlib_executor_size: int = 4096,
        zlib_executor: Executor | None = None,
    ) -> None: ...

class FileResponse(StreamResponse):
    def __init__(
        self,
        path: str | bytes | PathLike[str] | PathLike[bytes],
        chunk_size: int = 262144,
        status: int = 200,
        reason: str | None = None,
        headers: _Headers | None = None,
    ) -> None: ...

@final
class Folder:
    def __new__(
        cls,
        directory: str | bytes | PathLike[str] | PathLike[bytes],
        fallback: Callable[[Any], Any],
        file_response: type[FileResponse] | None = None,
        follow_symlinks: bool = False,
    ) -> Self: ...
    def __call__(self, request: Request, /) -> Any: ...

def json_response(
    data: Any = ...,
    *,
    text: str | None = None,
    body: bytes | None = None,
    status: int = 200,
    reason: str | None = None,
    headers: _Headers | None = None,
    content_type: str = "application/json",
    dumps: Callable[[Any], str] = ...,
) -> Response: ...
def response_setup(cls: _R, /) -> _R: ...

class HttpServer:
    connection_count: int
    connections: list[ServerProtocol]
    counters: dict[str, int]
    loop: asyncio.AbstractEventLoop | None
    requests_count: int
    def __new__(
        cls,
        handler: Callable[[Any], Any] | None = None,
        *,
        router: Router | None = None,
        request_type: type[Request] | None = None,
        finish: Callable[[Any, Any], Awaitable[object]] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        max_line: int = 8190,
        max_field: int = 8190,
        max_fields: int = 128,
        max_head: int = 65536,
        max_body: int = 1048576,
        client_max_size: int = 1048576,
        head_timeout: float | None = 10.0,
        keepalive_timeout: float | None = 75.0,
        body_timeout: float | None = 60.0,
        write_timeout: float | None = 60.0,
        max_pipelined: int = 64,
        server_header: str | None = None,
        access_log: Callable[[Any, Any, float], object] | None = None,
        logger: Any = None,
        handler_cancellation: bool = False,
        debug: bool = False,
    ) -> Self: ...
    def cancel_handlers(self) -> None: ...
    def close(self) -> None: ...
    def pre_shutdown(self) -> None: ...
    def wait_empty(self) -> Awaitable[None]: ...

class ServerProtocol(Link):
    loop: asyncio.AbstractEventLoop | None
    request: Request | None
    served: int
    server: HttpServer
    task: asyncio.Task[Any] | None
    transport: asyncio.Transport | None
    def __new__(cls, server: HttpServer) -> Self: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...
    def force_close(self) -> None: ...
    def hand_over(self, protocol: asyncio.BaseProtocol, /) -> None: ...
    def keep_alive(self, value: object, /) -> None: ...
