"""TLS over our transports: what asyncio's does, ours does."""

import asyncio
import contextvars
import ssl
import sys

import pytest

import fastaio


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    await hang_up(writer)


async def hang_up(writer):
    writer.close()
    try:
        await writer.wait_closed()
    except (ConnectionError, ssl.SSLError):
        pass  # the peer went first, without a word


async def shut(server):
    """Closes the server and sees its handlers out."""
    server.close()
    await server.wait_closed()
    handlers = asyncio.all_tasks() - {asyncio.current_task()}
    if handlers:
        await asyncio.wait(handlers, timeout=10)


async def close(writer, server):
    writer.close()
    await writer.wait_closed()
    await shut(server)


async def connect(port, context):
    return await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )


def port_of(server):
    return server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("size", [1, 1024, 16384, 16385, 1_000_000])
def test_echo(run, server_context, client_context, size):
    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        reader, writer = await connect(port_of(server), client_context)
        data = bytes(i % 251 for i in range(size))
        writer.write(data)
        assert await reader.readexactly(size) == data
        await close(writer, server)

    run(main())


SIZES = [1, 16384, 3, 40000, 16385, 100, 70000, 5, 16383, 250_000, 2, 32768]


@pytest.mark.parametrize("pauses", [False, True])
def test_records_of_all_sizes_at_once(run, server_context, client_context, pauses):
    """Many in one read, that ends anywhere; also to one who stops reading at each call."""

    class Echo(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data)
            if pauses:
                self.transport.pause_reading()
                asyncio.get_running_loop().call_soon(self.transport.resume_reading)

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=server_context)
        reader, writer = await connect(port_of(server), client_context)
        messages = [bytes([i % 251]) * size for i, size in enumerate(SIZES * 5)]
        for message in messages:
            writer.write(message)
        for i, message in enumerate(messages):
            assert await reader.readexactly(len(message)) == message, i
        await close(writer, server)

    run(main())


def test_ciphertext_that_is_handed_on_in_pieces(run, server_context, client_context):
    """Of all sizes around a record's, by a relay between the two."""

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        count = 0

        async def hand_on(reader, writer):
            nonlocal count
            while data := await reader.read(1 << 20):
                while data:
                    size = PIECES[count % len(PIECES)]
                    count += 1
                    writer.write(data[:size])
                    await writer.drain()
                    data = data[size:]
                    await asyncio.sleep(0)
            writer.close()

        async def relay(reader, writer):
            there, back = await asyncio.open_connection("127.0.0.1", port_of(server))
            await asyncio.gather(hand_on(reader, back), hand_on(there, writer))

        between = await asyncio.start_server(relay, "127.0.0.1", 0)
        reader, writer = await connect(port_of(between), client_context)
        data = bytes(i % 251 for i in range(1_500_000))
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        writer.close()
        await writer.wait_closed()
        between.close()
        await shut(server)

    run(main())


PIECES = [65536, 1, 4, 5, 6, 33000, 16406, 16405, 100_000, 16407, 2, 3, 40000, 200_000, 7]


def test_extra_info(run, server_context, client_context):
    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        _, writer = await connect(port_of(server), client_context)
        assert writer.get_extra_info("sslcontext") is client_context
        assert isinstance(writer.get_extra_info("ssl_object"), ssl.SSLObject)
        assert writer.get_extra_info("peercert")["subjectAltName"] == (("DNS", "localhost"),)
        assert writer.get_extra_info("cipher")[1] == "TLSv1.3"
        assert writer.get_extra_info("compression") is None
        assert writer.get_extra_info("peername")[1] == port_of(server)
        assert writer.transport.can_write_eof() is False
        await close(writer, server)

    run(main())


@pytest.mark.without_debug
def test_untrusted_certificate_is_refused(run, server_context):
    async def main():
        reports = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: reports.append(about))
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(port_of(server), ssl.create_default_context())
        await shut(server)
        assert reports == []

    run(main())


def test_handshake_time_out(run, client_context):
    async def main():
        async def silent(reader, writer):
            await reader.read()
            await hang_up(writer)

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        with pytest.raises(ConnectionAbortedError, match="SSL handshake is taking longer"):
            await asyncio.open_connection(
                "127.0.0.1",
                port_of(server),
                ssl=client_context,
                server_hostname="localhost",
                ssl_handshake_timeout=0.05,
            )
        await shut(server)

    run(main())


class Reader(asyncio.BufferedProtocol):
    """Takes what comes into a buffer of 1000 bytes."""

    def __init__(self):
        self.memory = bytearray(1000)
        self.received = bytearray()
        self.wanted = 0
        self.done = asyncio.get_running_loop().create_future()
        self.lost = asyncio.get_running_loop().create_future()

    def get_buffer(self, sizehint):
        return memoryview(self.memory)

    def buffer_updated(self, nbytes):
        self.received += self.memory[:nbytes]
        if len(self.received) == self.wanted:
            self.done.set_result(None)

    def connection_lost(self, exc):
        self.lost.set_result(exc)


def test_buffered_protocol(run, server_context, client_context):
    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(
            Reader, "127.0.0.1", port_of(server), ssl=client_context, server_hostname="localhost"
        )
        data = bytes(i % 253 for i in range(50_000))
        protocol.wanted = len(data)
        transport.writelines([data[:7], bytearray(data[7:20_000]), memoryview(data)[20_000:]])
        await protocol.done
        assert protocol.received == data
        transport.close()
        assert await protocol.lost is None
        await shut(server)

    run(main())


def test_write_takes_a_snapshot_before_the_handshake_is_over(run, server_context, client_context):
    async def main():
        received = asyncio.get_running_loop().create_future()

        async def collect(reader, writer):
            received.set_result(await reader.readexactly(4))
            await hang_up(writer)

        class Early(asyncio.Protocol):
            def connection_made(self, transport):
                data = bytearray(b"good")
                transport.write(data)
                data[:] = b"evil"

            def connection_lost(self, exc):
                lost.set_result(exc)

        loop = asyncio.get_running_loop()
        lost = loop.create_future()
        server = await asyncio.start_server(collect, "127.0.0.1", 0, ssl=server_context)
        transport, _ = await loop.create_connection(
            Early, "127.0.0.1", port_of(server), ssl=client_context, server_hostname="localhost"
        )
        assert await received == b"good"
        transport.close()
        await lost
        await shut(server)

    run(main())


def test_paused_reader_gets_nothing(run, server_context, client_context):
    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(
            Reader, "127.0.0.1", port_of(server), ssl=client_context, server_hostname="localhost"
        )
        transport.pause_reading()
        assert not transport.is_reading()
        protocol.wanted = 300_000
        transport.write(bytes(300_000))
        # Another connection's round trip: whatever was to come has come by then.
        reader, writer = await connect(port_of(server), client_context)
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        await hang_up(writer)
        assert protocol.received == b""
        transport.resume_reading()
        await protocol.done
        transport.close()
        await protocol.lost
        await shut(server)

    run(main())


def test_start_tls(run, server_context, client_context):
    async def main():
        async def upgrade(reader, writer):
            assert await reader.readline() == b"STARTTLS\n"
            writer.write(b"ok\n")
            await writer.start_tls(server_context)
            await echo(reader, writer)

        server = await asyncio.start_server(upgrade, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"ok\n"
        await writer.start_tls(client_context, server_hostname="localhost")
        writer.write(b"secret")
        assert await reader.readexactly(6) == b"secret"
        await close(writer, server)

    run(main())


def test_start_tls_of_what_was_read_already(run, server_context, client_context):
    """The client's first words of TLS come together with its request for it."""

    async def main():
        loop = asyncio.get_running_loop()
        mended = sys.version_info >= (3, 14, 4) or (3, 13, 13) <= sys.version_info < (3, 14)
        if not mended and not isinstance(loop, fastaio.Loop):
            pytest.skip("asyncio before 3.13.13 and 3.14.4 leaves them in the reader")

        async def upgrade(reader, writer):
            assert await reader.readline() == b"STARTTLS\n"
            await writer.start_tls(server_context)
            await echo(reader, writer)

        server = await asyncio.start_server(upgrade, "127.0.0.1", 0)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context.wrap_bio(incoming, outgoing, server_hostname="localhost")

        async def tell(method, *args):
            while True:
                try:
                    return method(*args)
                except ssl.SSLWantReadError:
                    if outgoing.pending:
                        writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))

        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        outgoing.write(b"STARTTLS\n")
        await tell(tls.do_handshake)
        tls.write(b"secret")
        assert await tell(tls.read, 6) == b"secret"
        await close(writer, server)

    run(main())


class StartsTLS(asyncio.Protocol):
    """Runs start_tls() to its first wait within connection_made(), as an eager task does."""

    def __init__(self, context):
        self.context = context
        self.calls = []
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.calls.append("connection_made")
        loop = asyncio.get_running_loop()
        self.starting = loop.start_tls(transport, self, self.context, server_side=True)
        self.starting.send(None).add_done_callback(self.started)

    def started(self, _):
        with pytest.raises(StopIteration) as stop:
            self.starting.send(None)
        self.over.set_result(stop.value.value)

    def data_received(self, data):
        self.calls.append(data)


def test_start_tls_within_connection_made(run, server_context, client_context, reports):
    async def main():
        loop = asyncio.get_running_loop()
        made = []

        def factory():
            made.append(StartsTLS(server_context))
            return made[-1]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        reader, writer = await connect(port_of(server), client_context)
        transport = await made[0].over
        transport.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write(b"bye")
        while len(made[0].calls) < 2:
            await asyncio.sleep(0)
        assert made[0].calls == ["connection_made", b"bye"]
        transport.close()
        await close(writer, server)

    run(main())
    assert reports == []


def test_tls_inside_tls(run, server_context, client_context):
    async def main():
        async def upgrade(reader, writer):
            await reader.readexactly(2)
            writer.write(b"ok")
            await writer.start_tls(server_context)
            await echo(reader, writer)

        server = await asyncio.start_server(upgrade, "127.0.0.1", 0, ssl=server_context)
        reader, writer = await connect(port_of(server), client_context)
        writer.write(b"go")
        assert await reader.readexactly(2) == b"ok"
        await writer.start_tls(client_context, server_hostname="localhost")
        data = bytes(range(256)) * 1000
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        await close(writer, server)

    run(main())


def test_truncation_ends_the_stream(run, server_context, client_context):
    async def main():
        async def cut(reader, writer):
            writer.write(b"part")
            await writer.drain()
            await reader.readexactly(2)
            writer.transport.abort()
            await hang_up(writer)

        server = await asyncio.start_server(cut, "127.0.0.1", 0, ssl=server_context)
        reader, writer = await connect(port_of(server), client_context)
        assert await reader.readexactly(4) == b"part"
        writer.write(b"go")
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass  # the kernel's word where it had unread bytes
        await hang_up(writer)
        await shut(server)

    run(main())


def test_write_takes_only_bytes(run, server_context, client_context):
    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        _, writer = await connect(port_of(server), client_context)
        with pytest.raises(TypeError, match="expecting a bytes-like instance, got str"):
            writer.transport.write("text")
        with pytest.raises(NotImplementedError):
            writer.transport.write_eof()
        await close(writer, server)

    run(main())


def test_session_is_resumed(run, server_context, client_context):
    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_context)
        reader, writer = await connect(port_of(server), client_context)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"  # the ticket comes with it
        first = writer.get_extra_info("ssl_object")
        assert first.session is not None
        assert first.session_reused is False
        await close(writer, server)

    run(main())


def test_calls_run_in_the_context_of_the_connection(run, server_context, client_context):
    variable = contextvars.ContextVar("variable", default="default")

    class Protocol(asyncio.Protocol):
        def __init__(self):
            self.seen = []
            self.over = asyncio.get_running_loop().create_future()

        def connection_made(self, transport):
            self.transport = transport
            self.seen.append(variable.get())

        def data_received(self, data):
            self.seen.append(variable.get())
            variable.set(data.decode())

        def eof_received(self):
            self.seen.append(variable.get())

        def connection_lost(self, exc):
            self.over.set_result(None)

    async def main():
        loop = asyncio.get_running_loop()
        peers = []

        def factory():
            peers.append(Protocol())
            return peers[-1]

        variable.set("main")
        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=server_context)
        variable.set("later")
        for data in (b"a", b"b"):
            transport, client = await loop.create_connection(
                Protocol,
                "127.0.0.1",
                port_of(server),
                ssl=client_context,
                server_hostname="localhost",
            )
            transport.write(data)
            transport.close()
            await client.over
            await peers[-1].over
            assert peers[-1].seen == ["main", "main", data.decode()]
            assert client.seen[0] == "later"
        await shut(server)

    run(main())
