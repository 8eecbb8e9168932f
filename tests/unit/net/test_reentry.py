"""Code of the program's that runs in odd places of csrc/net (keys, finalizers, log handlers,
classes of the program's own) and there ends, frees or keeps what is being worked with."""

import asyncio
import logging
import os
import socket
import ssl

import pytest
import trustme

import fastaio
from fastaio import _core


@pytest.fixture
def reports(loop):
    contexts = []
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    return contexts


async def connected(factory=asyncio.Protocol):
    """(transport, protocol, the peer's socket)"""
    ours, peer = socket.socketpair()
    transport, protocol = await asyncio.get_running_loop().create_connection(factory, sock=ours)
    return transport, protocol, peer


async def accepted(factory=asyncio.Protocol):
    """(transport, the peer's socket) of a server's connection: it has no socket object."""
    loop = asyncio.get_running_loop()
    made = loop.create_future()

    class Protocol(factory):
        def connection_made(self, transport):
            made.set_result(transport)

    server = await loop.create_server(Protocol, "127.0.0.1", 0)
    peer = socket.create_connection(server.sockets[0].getsockname())
    transport = await made
    server.close()
    return transport, peer


def test_keywords_are_strings(loop):
    for kind in (_core.Transport, _core.DatagramTransport, _core.Listener):
        with pytest.raises(TypeError, match="keywords must be strings"):
            kind(**{1: 2})


def test_a_key_that_replaces_the_dict_it_is_looked_up_in(loop):
    async def main():
        transport, _, peer = await connected()

        compared = []

        class Key(str):
            def __hash__(self):
                return hash("peername")

            def __eq__(self, other):
                compared.append(other)
                transport._extra = {}
                return False

        for _ in range(20):
            transport._extra = {"peername": object(), "other": object()}
            transport.get_extra_info(Key("peername"))
        assert len(compared) >= 20
        transport.abort()
        peer.close()
        await asyncio.sleep(0)

    loop.run_until_complete(main())


def test_a_socket_object_that_cannot_be_made(loop, monkeypatch):
    """The descriptor stays the transport's."""

    def fail(self, flag):
        raise ZeroDivisionError

    async def main():
        transport, peer = await accepted()
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "setblocking", fail)
            with pytest.raises(ZeroDivisionError):
                transport.get_extra_info("socket")
        transport.write(b"x")
        assert await asyncio.to_thread(peer.recv, 1) == b"x"
        transport.abort()
        peer.close()
        await asyncio.sleep(0)

    loop.run_until_complete(main())


@pytest.mark.parametrize("then", ["_start", "_call_connection_lost", "write", "abort"])
def test_a_transport_that_was_lost_by_hand(loop, then):
    async def main():
        transport, _, peer = await connected()
        transport._call_connection_lost(None)
        args = {"abort": (), "write": (b"x",)}.get(then, (None,))
        getattr(transport, then)(*args)
        assert repr(transport).startswith("<Transport closed")
        peer.close()

    loop.run_until_complete(main())


def test_a_datagram_transport_that_was_lost_by_hand(loop):
    async def main():
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, ("127.0.0.1", 0)
        )
        transport._call_connection_lost(None)
        transport.sendto(b"x", ("127.0.0.1", 9))
        assert repr(transport).startswith("<DatagramTransport closed")

    loop.run_until_complete(main())


def test_output_that_loses_its_transport_again(loop):
    """Its descriptor is closed once: the number is another file's the second time."""
    opened = []

    class Ends(bytes):
        def __del__(self):
            transport._call_connection_lost(None)
            opened.append(os.open("/dev/null", os.O_RDONLY))

    async def main():
        nonlocal transport
        transport, peer = await accepted()
        while transport.get_write_buffer_size() == 0:
            transport.write(bytes(1 << 20))
        transport.get_extra_info("socket")
        transport.write(Ends(100_000))
        transport._call_connection_lost(None)
        for fd in opened:
            os.close(fd)  # OSError if somebody has done it
        peer.close()

    transport = None
    loop.run_until_complete(main())
    assert len(opened) == 1


def test_a_future_of_the_programs_that_lets_go_of_itself():
    class Future:
        def __init__(self):
            self.ballast = bytearray(300)

        def done(self):
            transport._reset_empty_waiter()
            return False

        def set_exception(self, exc):
            told.append(exc)

    class Loop(fastaio.Loop):
        odd = False

        def create_future(self):
            return Future() if self.odd else super().create_future()

    async def main():
        nonlocal transport
        transport, _, peer = await connected()
        transport.write(bytes(1 << 22))
        loop.odd = True
        transport._make_empty_waiter()
        loop.odd = False
        peer.close()
        while not told:
            await asyncio.sleep(0)

    told = []
    transport = None
    loop = Loop()
    loop.run_until_complete(main())
    loop.close()


@pytest.mark.parametrize("kind", ["socket", "pipe"])
def test_a_log_handler_that_sees_to_the_end(loop, caplog, kind):
    class Ends(logging.Handler):
        def emit(self, record):
            if "EOF" in record.getMessage() or "closed by peer" in record.getMessage():
                transport.close()
                loop.run_until_complete(asyncio.sleep(0.001))
                ended.append(None)

    async def main():
        nonlocal transport
        if kind == "socket":
            transport, _, peer = await connected()
            peer.close()
        else:
            reader, writer = os.pipe()
            pipe = os.fdopen(reader, "rb", 0)
            transport, _ = await loop.connect_read_pipe(asyncio.Protocol, pipe)
            os.close(writer)
        while not ended:
            await asyncio.sleep(0)

    ended = []
    transport = None
    loop.set_debug(True)
    loop.slow_callback_duration = 100
    fastaio.allow_nested(loop)
    caplog.set_level(logging.DEBUG, "asyncio")
    handler = Ends()
    logging.getLogger("asyncio").addHandler(handler)
    try:
        loop.run_until_complete(main())
    finally:
        logging.getLogger("asyncio").removeHandler(handler)


# -- SSL objects of the program's ------------------------------------------------------------------


def contexts(kind):
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.sslobject_class = kind
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def echo_over(kind, message):
    """What comes back from a server whose connections have SSL objects of that class."""
    server_context, client_context = contexts(kind)

    async def echo(reader, writer):
        try:
            while data := await reader.read(1 << 20):
                writer.write(data)
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
    try:
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(
            *address, ssl=client_context, server_hostname="localhost"
        )
        try:
            writer.write(message)
            return await reader.readexactly(len(message))
        finally:
            writer.transport.abort()
    finally:
        server.close()
        await asyncio.sleep(0.001)


def test_an_ssl_object_that_keeps_what_it_is_given(loop):
    kept = []

    class Keeping(ssl.SSLObject):
        def write(self, data):
            kept.append(data)
            return super().write(data)

        def read(self, size=1024, buffer=None):
            kept.append(buffer)
            return super().read(size) if buffer is None else super().read(size, buffer)

    message = bytes(range(256)) * 400
    assert loop.run_until_complete(echo_over(Keeping, message)) == message
    assert kept
    assert all(data is None or len(bytes(data)) == len(data) for data in kept)


@pytest.mark.parametrize(
    ("method", "value"), [("write", -1), ("pending", -1), ("read", object()), ("read", 5)]
)
def test_an_ssl_object_that_answers_nonsense(loop, reports, method, value):
    armed = []

    def answer(self, *args):
        if armed:
            return value
        return getattr(ssl.SSLObject, method)(self, *args)

    kind = type("Odd", (ssl.SSLObject,), {method: answer})
    original = asyncio.StreamReader.feed_data

    async def main():
        with pytest.raises((asyncio.IncompleteReadError, OSError)):
            await asyncio.wait_for(echo_over(kind, b"message"), 5)

    with pytest.MonkeyPatch.context() as patch:
        # From the first application data on.
        patch.setattr(
            asyncio.StreamReader,
            "feed_data",
            lambda self, data: armed.append(None) or original(self, data),
        )
        if method in ("read", "pending"):
            armed_at = ssl.SSLObject.do_handshake

            def do_handshake(self):
                armed_at(self)
                armed.append(None)

            patch.setattr(kind, "do_handshake", do_handshake, raising=False)
        loop.run_until_complete(main())


# -- native protocols on transports of others ------------------------------------------------------


@pytest.mark.parametrize("method", ["abort", "is_closing", "close", "write"])
def test_a_transport_that_loses_its_connection_in_a_call(method):
    from fastaio import web  # needs multidict and yarl

    class Transport(asyncio.Transport):
        armed = False

        def lose(self, name):
            if self.armed and name == method:
                self.armed = False
                self.protocol.connection_lost(None)
                raise OSError("lost")

        def is_closing(self):
            self.lose("is_closing")
            return False

        def write(self, data):
            self.lose("write")

        def close(self):
            self.lose("close")

        def abort(self):
            self.lose("abort")

        def get_write_buffer_size(self):
            return 0

        def get_extra_info(self, name, default=None):
            return default

    async def hello(request):
        await asyncio.sleep(0.001)
        return web.Response(body=bytes(200_000))

    async def main():
        app = web.Application()
        app.router.add_get("/", hello)
        runner = web.AppRunner(app)
        await runner.setup()
        transport = Transport()
        transport.protocol = protocol = runner.server()
        protocol.connection_made(transport)
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        transport.armed = True
        if method in ("abort", "close"):
            getattr(protocol, method)()
        await asyncio.sleep(0.01)
        await runner.cleanup()
        assert not transport.armed  # the call was made

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.get_loop().set_exception_handler(lambda loop, context: None)
        runner.run(main())
