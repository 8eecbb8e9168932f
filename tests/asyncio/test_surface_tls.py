"""TLS, row by row: what the two ends learn of each other, and how a connection ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import socket
import ssl
import tempfile
import warnings

import pytest

pytestmark = pytest.mark.without_debug  # in which failed handshakes are reported, too

LOOPBACK = ("127.0.0.1", 0)


class Peer(asyncio.Protocol):
    """One end: what it was told, in order, and what came in."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.calls = []
        self.data = b""
        self.made = loop.create_future()
        self.ended = loop.create_future()
        self.arrived = asyncio.Event()

    def connection_made(self, transport):
        self.calls.append("made")
        self.transport = transport
        self.made.set_result(None)

    def data_received(self, data):
        if self.calls[-1] != "data":
            self.calls.append("data")
        self.data += data
        self.arrived.set()

    def eof_received(self):
        self.calls.append("eof")

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")

    def connection_lost(self, exc):
        self.calls.append("lost")
        self.ended.set_result(exc)

    async def until(self, size):
        while len(self.data) < size:
            self.arrived.clear()
            await self.arrived.wait()


class Ends:
    """Both ends of one connection."""

    def __init__(self, client, server):
        self.client = client
        self.server = server


@contextlib.asynccontextmanager
async def connected(server_context, client_context, *, server=None, **client):
    """A TLS connection; `server` and `client` are keywords of the two calls."""
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()

    def factory():
        peer = Peer()
        if not accepted.done():
            accepted.set_result(peer)
        return peer

    client.setdefault("server_hostname", "localhost")
    listening = await loop.create_server(factory, *LOOPBACK, ssl=server_context, **server or {})
    address = listening.sockets[0].getsockname()
    try:
        _, peer = await loop.create_connection(Peer, *address, ssl=client_context, **client)
        ends = Ends(peer, await accepted)
        await ends.server.made
        yield ends
        for end in (ends.client, ends.server):
            if not end.ended.done():
                end.transport.abort()
                await end.ended
    finally:
        listening.close()
        await listening.wait_closed()


# -- what is known of the peer ---------------------------------------------------------------------


def test_extra_info_at_both_ends(run, server_context, client_context):
    async def main():
        async with connected(server_context, client_context) as ends:
            for end, context in ((ends.client, client_context), (ends.server, server_context)):
                info = end.transport.get_extra_info
                assert info("sslcontext") is context
                assert isinstance(info("ssl_object"), ssl.SSLObject)
                assert info("cipher") == info("ssl_object").cipher()
                assert info("compression") is None
                assert isinstance(info("socket"), asyncio.trsock.TransportSocket)
                assert info("nothing") is None
                assert info("nothing", 7) == 7
            assert ends.server.transport.get_extra_info("peercert") is None
            names = ends.client.transport.get_extra_info("peername")
            assert names == ends.server.transport.get_extra_info("sockname")

    run(main())


def test_is_a_transport(run, server_context, client_context):
    async def main():
        async with connected(server_context, client_context) as ends:
            transport = ends.client.transport
            assert isinstance(transport, asyncio.Transport)
            assert isinstance(transport, asyncio.sslproto._SSLProtocolTransport)
            assert transport.can_write_eof() is False
            assert transport.is_reading() is True
            assert transport.is_closing() is False
            assert transport.get_protocol() is ends.client
            assert transport.get_write_buffer_size() == 0
            low, high = transport.get_write_buffer_limits()
            assert (low, high) == (128 * 1024, 512 * 1024)
            transport.set_write_buffer_limits(high=1000, low=10)
            assert transport.get_write_buffer_limits() == (10, 1000)
            with pytest.raises(NotImplementedError):
                transport.write_eof()

    run(main())


def test_application_protocol(run, server_context, client_context):
    server_context.set_alpn_protocols(["h2", "http/1.1"])
    client_context.set_alpn_protocols(["spdy/3", "http/1.1"])

    async def main():
        async with connected(server_context, client_context) as ends:
            for end in (ends.client, ends.server):
                chosen = end.transport.get_extra_info("ssl_object")
                assert chosen.selected_alpn_protocol() == "http/1.1"

    run(main())


def test_server_name_callback(run, authority, server_context, client_context):
    names = []
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(other)

    def callback(ssl_object, name, context):
        names.append((type(ssl_object), name, context is server_context))
        if name == "other.example":
            ssl_object.context = other
        elif name != "localhost":
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        return None

    server_context.sni_callback = callback

    async def main():
        async with connected(
            server_context, client_context, server_hostname="other.example"
        ) as ends:
            subject = ends.client.transport.get_extra_info("peercert")["subjectAltName"]
            assert subject == (("DNS", "other.example"),)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with connected(server_context, client_context, server_hostname="x.example"):
                pass
        assert [name for _, name, _ in names] == ["other.example", "x.example"]
        assert names[0][0] is ssl.SSLObject and names[0][2]

    run(main())


def test_client_certificate(run, authority, server_context, client_context):
    authority.configure_trust(server_context)
    server_context.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("me@example.org").configure_cert(client_context)

    async def main():
        async with connected(server_context, client_context) as ends:
            subject = ends.server.transport.get_extra_info("peercert")["subjectAltName"]
            assert subject == (("email", "me@example.org"),)

    run(main())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_missing_client_certificate(run, authority, server_context, client_context, version):
    """With TLS 1.3 the client learns of it after its own handshake is done."""
    authority.configure_trust(server_context)
    server_context.verify_mode = ssl.CERT_REQUIRED
    client_context.minimum_version = client_context.maximum_version = version

    async def main():
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(Peer, *LOOPBACK, ssl=server_context)
        try:
            _, peer = await loop.create_connection(
                Peer,
                *listening.sockets[0].getsockname(),
                ssl=client_context,
                server_hostname="localhost",
            )
        except (ssl.SSLError, ConnectionError):
            assert version == ssl.TLSVersion.TLSv1_2
        else:
            assert version == ssl.TLSVersion.TLSv1_3
            exc = await peer.ended
            assert exc is None or isinstance(exc, (ssl.SSLError, ConnectionError))
        listening.close()
        await listening.wait_closed()

    run(main())


def test_wrong_name(run, server_context, client_context):
    async def main():
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            async with connected(server_context, client_context, server_hostname="x.example"):
                pass

    run(main())


def test_default_context_trusts_nobody(run, server_context):
    async def main():
        with pytest.raises(ssl.SSLCertVerificationError):
            async with connected(server_context, True):
                pass

    run(main())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(run, server_context, client_context, version):
    client_context.minimum_version = client_context.maximum_version = version
    data = bytes(range(256)) * 1000

    async def main():
        async with connected(server_context, client_context) as ends:
            assert (
                ends.client.transport.get_extra_info("ssl_object").version()
                == {
                    ssl.TLSVersion.TLSv1_2: "TLSv1.2",
                    ssl.TLSVersion.TLSv1_3: "TLSv1.3",
                }[version]
            )
            ends.client.transport.write(data)
            await ends.server.until(len(data))
            ends.server.transport.write(data)
            await ends.client.until(len(data))
            assert ends.client.data == ends.server.data == data

    run(main())


# -- how a handshake fails -------------------------------------------------------------------------


def test_server_handshake_time_out(run, server_context, reports):
    """A client that connects and says nothing is dropped; nobody's protocol hears of it."""

    async def main():
        loop = asyncio.get_running_loop()
        made = []
        listening = await loop.create_server(
            lambda: made.append(Peer()) or made[-1],
            *LOOPBACK,
            ssl=server_context,
            ssl_handshake_timeout=0.05,
        )
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, listening.sockets[0].getsockname())
            assert await loop.sock_recv(sock, 100) == b""
        assert [peer.calls for peer in made] == [[]]
        listening.close()
        await listening.wait_closed()

    run(main())


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n\r\n", b"", b"\x16\x03\x01"])
def test_client_that_speaks_no_tls(run, server_context, words):
    async def main():
        loop = asyncio.get_running_loop()
        made = []
        listening = await loop.create_server(
            lambda: made.append(Peer()) or made[-1], *LOOPBACK, ssl=server_context
        )
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, listening.sockets[0].getsockname())
            await loop.sock_sendall(sock, words)
            sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while await loop.sock_recv(sock, 100):
                    pass
        while not made:
            await asyncio.sleep(0)
        assert made[0].calls == []
        listening.close()
        await listening.wait_closed()

    run(main())


def test_server_that_goes_away(run, client_context):
    async def main():
        loop = asyncio.get_running_loop()

        async def leave(reader, writer):
            await reader.read(10)
            writer.transport.abort()

        listening = await asyncio.start_server(leave, *LOOPBACK)
        with pytest.raises((ConnectionResetError, ConnectionAbortedError)):
            await loop.create_connection(
                Peer,
                *listening.sockets[0].getsockname(),
                ssl=client_context,
                server_hostname="localhost",
            )
        listening.close()
        await listening.wait_closed()

    run(main())


def test_cancelled_handshake(run, client_context):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setblocking(False)
            task = asyncio.create_task(
                loop.create_connection(Peer, sock=ours, ssl=client_context, server_hostname="x")
            )
            assert (await loop.sock_recv(theirs, 10))[0] == 0x16
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # The connection goes down with it.
            with contextlib.suppress(ConnectionResetError):
                while await loop.sock_recv(theirs, 10_000):
                    pass

    run(main())


# -- how a connection ends -------------------------------------------------------------------------


def test_close_sends_all_and_says_goodbye(run, server_context, client_context):
    data = bytes(range(256)) * 10_000

    async def main():
        async with connected(server_context, client_context) as ends:
            ends.client.transport.write(data)
            ends.client.transport.close()
            assert ends.client.transport.is_closing()
            assert await ends.server.ended is None
            assert await ends.client.ended is None
            assert ends.server.data == data
            assert ends.server.calls == ["made", "data", "eof", "lost"]
            assert ends.client.calls[-1] == "lost"

    run(main())


def test_what_comes_after_close_is_dropped(run, server_context, client_context):
    async def main():
        async with connected(server_context, client_context) as ends:
            ends.server.transport.write(b"early")
            await ends.client.until(5)
            ends.client.transport.close()
            ends.server.transport.write(b"too late")
            await ends.client.ended
            await ends.server.ended
            assert ends.client.data == b"early"

    run(main())


def test_write_after_close(run, server_context, client_context, caplog):
    async def main():
        async with connected(server_context, client_context) as ends:
            ends.client.transport.close()
            for _ in range(7):
                ends.client.transport.write(b"x")
            await ends.client.ended
            ends.client.transport.write(b"x")
            await ends.server.ended
            assert ends.server.data == b""

    run(main())
    assert {record.getMessage() for record in caplog.records} <= {"SSL connection is closed"}


def test_abort(run, server_context, client_context):
    async def main():
        async with connected(server_context, client_context) as ends:
            ends.client.transport.abort()
            assert ends.client.transport.is_closing()
            assert await ends.client.ended is None
            # No close_notify: the other end is cut off.
            exc = await ends.server.ended
            assert exc is None or isinstance(exc, (ssl.SSLError, ConnectionError))
            return ends.server.calls, type(exc)

    run(main())


def test_close_inside_connection_made(run, server_context, client_context):
    async def main():
        loop = asyncio.get_running_loop()

        class Brief(Peer):
            def connection_made(self, transport):
                super().connection_made(transport)
                transport.write(b"hello")
                transport.close()

        listening = await loop.create_server(Brief, *LOOPBACK, ssl=server_context)
        _, peer = await loop.create_connection(
            Peer,
            *listening.sockets[0].getsockname(),
            ssl=client_context,
            server_hostname="localhost",
        )
        assert await peer.ended is None
        assert peer.data == b"hello"
        assert peer.calls == ["made", "data", "eof", "lost"]
        listening.close()
        await listening.wait_closed()

    run(main())


def test_shutdown_time_out(run, server_context, client_context):
    """A peer that does not answer close_notify is not waited for longer than that."""

    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()

        def be_a_server():
            with server_context.wrap_socket(theirs, server_side=True) as sock:
                sock.recv(5)
                sock.settimeout(10)
                release.result(10)

        release = concurrent.futures.Future()
        thread = loop.run_in_executor(None, be_a_server)
        transport, peer = await loop.create_connection(
            Peer,
            sock=ours,
            ssl=client_context,
            server_hostname="localhost",
            ssl_shutdown_timeout=0.05,
        )
        transport.write(b"hello")
        transport.close()
        exc = await peer.ended
        assert isinstance(exc, TimeoutError) and "SSL shutdown timed out" in str(exc)
        release.set_result(None)
        with contextlib.suppress(OSError):
            await thread

    run(main())


def test_half_closed_plain_connection_is_the_end(run, server_context, client_context):
    """A FIN without close_notify: a truncation, which ends the connection."""

    async def main():
        async with connected(server_context, client_context) as ends:
            ends.client.transport.write(b"x")
            await ends.server.until(1)
            ends.client.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
            exc = await ends.server.ended
            assert exc is None or isinstance(exc, (ssl.SSLError, ConnectionError))
            assert ends.server.calls[:3] == ["made", "data", "eof"]

    run(main())


def test_flow_control(run, server_context, client_context):
    async def main():
        async with connected(server_context, client_context) as ends:
            ends.server.transport.pause_reading()
            transport = ends.client.transport
            size = 0
            while "pause" not in ends.client.calls:
                transport.write(bytes(100_000))
                size += 100_000
                await asyncio.sleep(0)
            assert transport.get_write_buffer_size() > 0
            ends.server.transport.resume_reading()
            await ends.server.until(size)
            while "resume" not in ends.client.calls:
                await asyncio.sleep(0)

    run(main())


def test_pause_and_resume_are_checked(run, server_context, client_context):
    async def main():
        async with connected(server_context, client_context) as ends:
            transport = ends.client.transport
            transport.resume_reading()
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            transport.resume_reading()
            assert transport.is_reading()

    run(main())


def test_set_protocol(run, server_context, client_context):
    async def main():
        async with connected(server_context, client_context) as ends:
            second = Peer()
            second.calls.append("set")
            ends.client.transport.set_protocol(second)
            assert ends.client.transport.get_protocol() is second
            ends.server.transport.write(b"x")
            await second.until(1)
            ends.client.transport.close()
            await second.ended
            ends.client.ended.set_result(None)

    run(main())


def test_sendfile_falls_back(run, server_context, client_context):
    data = bytes(range(256)) * 3000

    async def main():
        loop = asyncio.get_running_loop()
        async with connected(server_context, client_context) as ends:
            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.flush()
                sent = await loop.sendfile(ends.client.transport, file, 10, 500_000)
                assert sent == 500_000
                await ends.server.until(sent)
                assert ends.server.data == data[10:500_010]
                with pytest.raises(RuntimeError, match="fallback is disabled"):
                    await loop.sendfile(ends.client.transport, file, fallback=False)

    run(main())


def test_unclosed_transport_warns(loop_factory, server_context, client_context):
    loop = loop_factory()

    async def main():
        ours, theirs = socket.socketpair()
        accepted = asyncio.create_task(
            loop.connect_accepted_socket(Peer, theirs, ssl=server_context)
        )
        made = loop.create_connection(
            Peer, sock=ours, ssl=client_context, server_hostname="localhost"
        )
        return [(await made)[0], (await accepted)[0]]

    transports = loop.run_until_complete(main())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop.close()
        transports.clear()
        gc.collect()
    messages = [str(warning.message) for warning in caught]
    assert sum("unclosed transport <asyncio._SSLProtocolTransport" in m for m in messages) <= 2
    assert any("unclosed transport <" in message for message in messages)


# -- upgrades --------------------------------------------------------------------------------------


@pytest.mark.parametrize("through", ["sockets", "unix"])
def test_other_ways_to_tls(run, server_context, client_context, through, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        secret = {"ssl": client_context, "server_hostname": "localhost"}
        listening = None
        if through == "sockets":
            ours, theirs = socket.socketpair()
            task = asyncio.create_task(
                loop.connect_accepted_socket(Peer, theirs, ssl=server_context)
            )
            _, client = await loop.create_connection(Peer, sock=ours, **secret)
            _, server = await task
        else:
            path = str(tmp_path / "socket")
            accepted = []
            listening = await loop.create_unix_server(
                lambda: accepted.append(Peer()) or accepted[-1], path, ssl=server_context
            )
            _, client = await loop.create_unix_connection(Peer, path, **secret)
            server = accepted[0]
            await server.made
        client.transport.write(b"ping")
        await server.until(4)
        client.transport.close()
        assert await server.ended is None
        assert await client.ended is None
        if listening is not None:
            listening.close()
            await listening.wait_closed()

    run(main())


def test_start_tls_by_hand(run, server_context, client_context):
    """The protocols stay, and connection_made() is not called again."""

    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        plain, client = await loop.create_connection(Peer, sock=ours)
        other, server = await loop.connect_accepted_socket(Peer, theirs)
        upgraded, accepted = await asyncio.gather(
            loop.start_tls(plain, client, client_context, server_hostname="localhost"),
            loop.start_tls(other, server, server_context, server_side=True),
        )
        assert upgraded.get_protocol() is client
        assert client.calls == server.calls == ["made"]
        upgraded.write(b"secret")
        await server.until(6)
        upgraded.close()
        assert await client.ended is None
        assert await server.ended is None
        assert server.calls == ["made", "data", "eof", "lost"]

    run(main())


def test_start_tls_complains(run, client_context):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            transport, peer = await loop.create_connection(Peer, sock=ours)
            with pytest.raises(TypeError, match="sslcontext is expected to be an instance"):
                await loop.start_tls(transport, peer, None)
            with pytest.raises(TypeError, match="is not supported by start_tls"):
                await loop.start_tls(object(), peer, client_context)
            transport.abort()
            await peer.ended

    run(main())


def test_start_tls_of_a_failing_handshake(run, client_context):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setblocking(False)
            transport, peer = await loop.create_connection(Peer, sock=ours)
            task = asyncio.create_task(
                loop.start_tls(transport, peer, client_context, server_hostname="x")
            )
            await loop.sock_recv(theirs, 10_000)
            await loop.sock_sendall(theirs, b"no TLS here\n" * 10)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await task
            await asyncio.sleep(0)
            assert transport.is_closing()

    run(main())


def test_data_that_comes_with_the_handshake(run, server_context, client_context):
    """Bytes sent right behind the handshake are not lost on the way to the protocol."""

    async def main():
        async with connected(server_context, client_context) as ends:
            ends.client.transport.writelines([b"a", b"b" * 20_000, b"c"])
            await ends.server.until(20_002)
            assert ends.server.data == b"a" + b"b" * 20_000 + b"c"

    run(main())
