"""The load of the TLS rows: as load/pump.c, over TLS.

    python -m benchmarks.micro.tls_pump KIND PORT SIZE CONNECTIONS MILLISECONDS

KIND is echo, or handshake: a new connection for each message.
"""

import selectors
import socket
import ssl
import sys
import time

READ_SIZE = 256 * 1024


def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def tcp_connected(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def connected(made: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    return made.wrap_socket(tcp_connected(port))


class Peer:
    """One connection: sends a message, reads as much back, and so on.

    A message leaves in one system call, as asyncio sends it and as load/pump.c does. SSLSocket
    makes one for each record of 16 KiB, and the figure would depend on how many of them a server
    finds at once, which are more the later it comes.
    """

    def __init__(self, made: ssl.SSLContext, port: int, message: bytes) -> None:
        self.sock = tcp_connected(port)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = made.wrap_bio(self.incoming, self.outgoing)
        self.unsent = b""
        self.message = message
        self.left = len(message)
        self._handshake()
        self.sock.setblocking(False)
        self._begin()

    def _handshake(self) -> None:
        done = False
        while not done:
            try:
                self.tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            self.sock.sendall(self.outgoing.read())
            if not done:
                self.incoming.write(self.sock.recv(READ_SIZE))

    def _begin(self) -> None:
        self.left = len(self.message)
        self.tls.write(self.message)
        self.unsent += self.outgoing.read()

    def _read(self) -> int:
        """Bytes of the reply that can be read now; BlockingIOError if there are none."""
        while True:
            try:
                return len(self.tls.read(READ_SIZE))
            except ssl.SSLWantReadError:
                data = self.sock.recv(READ_SIZE)
                if not data:
                    raise ConnectionError("closed by the server") from None
                self.incoming.write(data)

    def _send(self) -> None:
        while self.unsent:
            self.unsent = self.unsent[self.sock.send(self.unsent) :]

    def step(self) -> int:
        """Goes as far as the socket lets it; the replies that came whole."""
        replies = 0
        try:
            self._send()
            while replies < 16:  # the other connections take their turn
                self.left -= self._read()
                if self.left <= 0:
                    replies += 1
                    self._begin()
                self._send()
        except BlockingIOError:
            pass
        return replies


def wait_for_start(seconds: float) -> float:
    """Say that all stand ready and wait for a line: from then on the server's time is counted.

    Returns the end, on the monotonic clock.
    """
    print("ready", flush=True)
    sys.stdin.readline()
    return time.monotonic() + seconds


def echo(port: int, size: int, connections: int, seconds: float) -> int:
    made = context()
    replies = 0
    with selectors.DefaultSelector() as selector:
        peers = [Peer(made, port, b"m" * size) for _ in range(connections)]
        end = wait_for_start(seconds)
        for peer in peers:
            selector.register(peer.sock, selectors.EVENT_READ, peer)
            replies += peer.step()
        while time.monotonic() < end:
            for key, _ in selector.select(0.1):
                replies += key.data.step()
    return replies


def handshake(port: int, size: int, seconds: float) -> int:
    made = context()
    replies = 0
    end = wait_for_start(seconds)
    while time.monotonic() < end:
        with connected(made, port) as sock:
            sock.sendall(b"m" * size)
            if sock.recv(size):
                replies += 1
    return replies


def main() -> None:
    kind, port, size, connections, milliseconds = sys.argv[1:]
    seconds = int(milliseconds) / 1e3
    if kind == "handshake":
        print(handshake(int(port), int(size), seconds))
    else:
        print(echo(int(port), int(size), int(connections), seconds))


if __name__ == "__main__":
    main()
