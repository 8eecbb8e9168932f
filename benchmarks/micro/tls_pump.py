"""The load of the TLS rows: as load/pump.c, over TLS.

    python -m benchmarks.micro.tls_pump KIND PORT SIZE CONNECTIONS MILLISECONDS

KIND is echo, or handshake: a new connection for each message.
"""

import selectors
import socket
import ssl
import sys
import time


def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def connected(made: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made.wrap_socket(sock)


class Peer:
    """One connection: sends a message, reads as much back, and so on."""

    def __init__(self, sock: ssl.SSLSocket, message: bytes) -> None:
        self.sock = sock
        self.message = message
        self.sent = 0
        self.left = len(message)
        sock.setblocking(False)

    def step(self) -> int:
        """Goes as far as the socket lets it; the replies that came whole."""
        replies = 0
        try:
            while True:
                if self.sent < len(self.message):
                    self.sent += self.sock.send(self.message[self.sent :])
                    continue
                got = self.sock.recv(1 << 18)
                if not got:
                    raise ConnectionError("closed by the server")
                self.left -= len(got)
                if self.left <= 0:
                    replies += 1
                    self.sent, self.left = 0, len(self.message)
                    if replies == 16:  # the other connections take their turn
                        return replies
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
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
        peers = [Peer(connected(made, port), b"m" * size) for _ in range(connections)]
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
