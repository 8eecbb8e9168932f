"""The C half of TLS by itself; what it does on connections is in tests/asyncio/test_tls.py."""

import asyncio
import contextlib
import ssl

import pytest

from fastaio import _core
from fastaio.tls import TLSProtocol


def test_a_link_that_was_not_initialised_refuses_to_work():
    link = _core.TLSLink.__new__(_core.TLSLink)
    for call in (
        link._do_read,
        link._do_write,
        link._process_outgoing,
        lambda: link._feed(b"x"),
        lambda: link._write_appdata([b"x"]),
    ):
        with pytest.raises(RuntimeError, match="has not been called"):
            call()
    with pytest.raises(TypeError):
        link._feed()


class Carrier(asyncio.Transport):
    """What a TLS protocol writes goes to the client's MemoryBIO."""

    def __init__(self, incoming):
        super().__init__()
        self.write = incoming.write
        self.aborted = False

    def is_closing(self):
        return False

    def abort(self):
        self.aborted = True

    def _force_close(self, exc):  # Python 3.13
        self.aborted = True


class Receiver(asyncio.Protocol):
    def __init__(self):
        self.got = []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.got.append(data)


@contextlib.contextmanager
def connected(loop, server_context, client_context):
    """A TLS protocol whose carrier is not ours, its application's protocol, the client, and the
    MemoryBIO of what that sends.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    receiver, carrier = Receiver(), Carrier(incoming)
    tls = TLSProtocol(loop, receiver, server_context, None, server_side=True)
    tls.connection_made(carrier)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    tls._feed(outgoing.read())
    client.do_handshake()
    tls._feed(outgoing.read())
    yield tls, receiver, client, outgoing
    assert not carrier.aborted
    receiver.transport.abort()
    tls.connection_lost(None)
    loop.run_until_complete(asyncio.sleep(0))


class Trigger:
    """Calls something when a server's connection begins with its third record from then on."""

    def __init__(self, context):
        self.left = 0
        context._msg_callback = self.on_message

    def arm(self, call):
        self.left, self.call = 3, call

    def on_message(self, sslobj, direction, version, kind, message, data):
        if self.left and direction == "read" and kind == ssl._TLSContentType.HEADER:
            self.left -= 1
            if self.left == 0:
                self.call()


def test_an_interrupt_between_records_leaves_the_rest(loop, server_context, client_context):
    """Raised where a signal's handler may be called: the connection goes on behind it."""

    def interrupt():
        raise KeyboardInterrupt

    trigger = Trigger(server_context)
    with connected(loop, server_context, client_context) as (tls, receiver, client, outgoing):
        client.write(b"x" * 200_000 + b"end")
        trigger.arm(interrupt)
        with pytest.raises(KeyboardInterrupt):
            tls._feed(outgoing.read())
        tls._do_read()
        assert receiver.got[-1][-3:] == b"end"


def test_a_read_within_a_read_has_a_buffer_of_its_own(loop, server_context, client_context):
    """As by a run of the loop in a callback of the library's."""

    def read_other():
        other = tls.get_buffer(-1)
        other[:] = bytes(len(other))

    trigger = Trigger(server_context)
    with connected(loop, server_context, client_context) as (tls, receiver, client, outgoing):
        client.write(b"x" * 60_000)
        ciphertext = outgoing.read()
        buffer = tls.get_buffer(-1)
        buffer[: len(ciphertext)] = ciphertext
        trigger.arm(read_other)
        tls.buffer_updated(len(ciphertext))
        assert trigger.left == 0
        assert b"".join(receiver.got) == b"x" * 60_000
        assert tls.get_buffer(-1) is buffer
