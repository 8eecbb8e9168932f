"""TLS: asyncio's SSLProtocol, with what runs per read and per write in C (csrc/net/tls.c).

Handshake, shutdown, time-outs and errors are those of the running Python's `asyncio.sslproto`, to
the letter. Neither connections nor messages cost a large buffer.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import constants, sslproto
from typing import TYPE_CHECKING, Any

from . import _core
from .log import logger

if TYPE_CHECKING:
    from .endpoints import Endpoints

_State = sslproto.SSLProtocolState

#: Bytes of ciphertext taken at once from a carrier that is no stream of ours (TLS inside TLS).
FOREIGN_READ_SIZE = 64 * 1024


class TLSProtocol(_core.TLSLink, sslproto.SSLProtocol):
    """A TLS connection over a transport; takes what `asyncio.sslproto.SSLProtocol` takes."""

    max_size = 0  # SSLProtocol makes a buffer of this size for every connection; ours needs none
    _foreign_buffer: bytearray | None = None

    if TYPE_CHECKING:  # what type checkers do not know of SSLProtocol
        _state: _State
        _incoming: ssl.MemoryBIO
        _conn_lost: int
        _transport: asyncio.BaseTransport | None

        def _do_handshake(self) -> None: ...
        def _do_flush(self) -> None: ...
        def _do_shutdown(self) -> None: ...

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        sslproto.SSLProtocol.__init__(self, *args, **kwargs)

    def _get_app_transport(self) -> Any:
        if self._app_transport is None:
            if self._app_transport_created:
                raise RuntimeError("Creating _SSLProtocolTransport twice")
            self._app_transport = _core.SSLTransport(self._loop, self)
            self._app_transport_created = True
        return self._app_transport

    # The Link's methods of these names drive its C functions on a foreign loop; here the names
    # are SSLProtocol's.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._attach(transport)
        sslproto.SSLProtocol.connection_made(self, transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        sslproto.SSLProtocol.connection_lost(self, exc)
        self._foreign_buffer = None

    def eof_received(self) -> bool | None:  # type: ignore[override]
        return sslproto.SSLProtocol.eof_received(self)  # type: ignore[func-returns-value]

    def pause_writing(self) -> None:
        sslproto.SSLProtocol.pause_writing(self)

    def resume_writing(self) -> None:
        sslproto.SSLProtocol.resume_writing(self)

    def get_buffer(self, sizehint: int) -> bytearray:  # type: ignore[override]
        if self._foreign_buffer is None:
            self._foreign_buffer = bytearray(FOREIGN_READ_SIZE)
        return self._foreign_buffer

    def buffer_updated(self, nbytes: int) -> None:
        # Put aside meanwhile: what is called may run the loop, which reads into another then.
        buffer, self._foreign_buffer = self._foreign_buffer, None
        if buffer is None:
            return
        with memoryview(buffer) as view:
            self._feed(view[:nbytes])
        if self._transport is not None:
            self._foreign_buffer = buffer

    def data_received(self, data: bytes) -> None:
        self._feed(data)

    # What the pump calls where it cannot go on alone.

    def _advance(self) -> None:
        """Ciphertext came outside the state WRAPPED (the rest of `buffer_updated`)."""
        if self._state is _State.DO_HANDSHAKE:
            self._do_handshake()
        elif self._state is _State.FLUSHING:
            self._do_flush()
        elif self._state is _State.SHUTDOWN:
            self._do_shutdown()

    def _write_after_close(self) -> None:
        if self._conn_lost >= constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
            logger.warning("SSL connection is closed")
        self._conn_lost += 1


async def start_tls(
    loop: Endpoints,
    transport: Any,
    protocol: asyncio.BaseProtocol,
    sslcontext: Any,
    **settings: Any,
) -> Any:
    """The transport of TLS over `transport` once the handshake is done (Loop.start_tls)."""
    if not isinstance(sslcontext, ssl.SSLContext):
        raise TypeError(
            f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}"
        )
    if not getattr(transport, "_start_tls_compatible", False):
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    waiter = loop.create_future()
    connection = TLSProtocol(
        loop, protocol, sslcontext, waiter, call_connection_made=False, **settings
    )
    # No data before connection_made().
    transport.pause_reading()
    if settings.get("server_side") and isinstance(protocol, asyncio.StreamReaderProtocol):
        reader: Any = protocol._stream_reader  # type: ignore[attr-defined]
        if reader is not None:
            # The client's first words may have come together with its request for TLS.
            connection._incoming.write(reader._buffer)
            reader._buffer.clear()
    transport.set_protocol(connection)
    steps = (
        loop.call_soon(connection.connection_made, transport),
        loop.call_soon(transport.resume_reading),
    )
    try:
        await waiter
    except BaseException:
        transport.close()
        for step in steps:
            step.cancel()
        raise
    return connection._app_transport
