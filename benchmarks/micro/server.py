"""The Python servers of the socket rows.

    python -m benchmarks.micro.server LOOP KIND TRANSPORT ADDRESS

KIND is protocol, buffered, streams, sock, accept, "sock accept" or sendfile; TRANSPORT is tcp,
unix, udp or tls (ADDRESS a port, a path, a port, PORT:FOLDER with cert.pem and key.pem in it). It
prints "ready" once it listens.
"""

import asyncio
import contextlib
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from benchmarks.micro.loops import factory

BUFFER_SIZE = 256 * 1024
SENDFILE_SIZE = 1 << 20


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    buffer = memoryview(bytearray(BUFFER_SIZE))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        # A copy: the buffer is filled again before a slow peer has taken all of it.
        self.transport.write(bytes(self.buffer[:nbytes]))


class AnswerAndClose(Echo):
    def data_received(self, data: bytes) -> None:
        self.transport.write(data)
        self.transport.close()


class SendFile(Echo):
    """Answers each message with a file."""

    file = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process)

    def data_received(self, data: bytes) -> None:
        self.task = asyncio.ensure_future(self.send())

    async def send(self) -> None:
        await asyncio.get_running_loop().sendfile(self.transport, self.file)


class DatagramEcho(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


PROTOCOLS: dict[str, Callable[[], asyncio.BaseProtocol]] = {
    "protocol": Echo,
    "buffered": BufferedEcho,
    "accept": AnswerAndClose,
    "sendfile": SendFile,
}


async def stream_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):  # the load goes as it pleases
        while data := await reader.read(BUFFER_SIZE):
            writer.write(data)
            await writer.drain()
    writer.close()


async def sock_echo(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with sock:
        while data := await loop.sock_recv(sock, BUFFER_SIZE):
            await loop.sock_sendall(sock, data)


async def sock_answer(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with sock:
        await loop.sock_sendall(sock, await loop.sock_recv(sock, BUFFER_SIZE))


async def serve_sock_datagrams(address: str) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", int(address)))
        sock.setblocking(False)
        print("ready", flush=True)
        while True:
            data, sender = await loop.sock_recvfrom(sock, BUFFER_SIZE)
            await loop.sock_sendto(sock, data, sender)


async def serve_sock(kind: str, transport: str, address: str) -> None:
    answer = sock_answer if kind == "sock accept" else sock_echo
    listener = socket.socket(socket.AF_UNIX if transport == "unix" else socket.AF_INET)
    listener.bind(address if transport == "unix" else ("127.0.0.1", int(address)))
    listener.listen(1024)
    listener.setblocking(False)
    print("ready", flush=True)
    tasks: set[asyncio.Task[None]] = set()
    while True:
        sock, _ = await asyncio.get_running_loop().sock_accept(listener)
        sock.setblocking(False)
        if transport == "tcp":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.ensure_future(answer(sock))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def tls_context(folder: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(folder, "cert.pem"), Path(folder, "key.pem"))
    return context


async def serve(kind: str, transport: str, address: str) -> None:
    loop = asyncio.get_running_loop()
    if kind == "sock" and transport == "udp":
        await serve_sock_datagrams(address)
    if kind in ("sock", "sock accept"):
        await serve_sock(kind, transport, address)
    port, _, folder = address.partition(":")
    keywords: dict[str, Any] = {"backlog": 1024}
    if transport == "tls":
        keywords["ssl"] = tls_context(folder)
    if transport == "udp":
        await loop.create_datagram_endpoint(DatagramEcho, ("127.0.0.1", int(port)))
    elif kind == "streams" and transport == "unix":
        await asyncio.start_unix_server(stream_echo, address, limit=BUFFER_SIZE, **keywords)
    elif kind == "streams":
        await asyncio.start_server(
            stream_echo, "127.0.0.1", int(port), limit=BUFFER_SIZE, **keywords
        )
    elif transport == "unix":
        await loop.create_unix_server(PROTOCOLS[kind], address, **keywords)
    else:
        await loop.create_server(PROTOCOLS[kind], "127.0.0.1", int(port), **keywords)
    print("ready", flush=True)
    await loop.create_future()


def main() -> None:
    loop_name, kind, transport, address = sys.argv[1:]
    if kind == "sendfile":
        SendFile.file.write(bytes(SENDFILE_SIZE))
        SendFile.file.flush()
    with asyncio.Runner(loop_factory=factory(loop_name)) as runner:
        runner.run(serve(kind, transport, address))


if __name__ == "__main__":
    main()
