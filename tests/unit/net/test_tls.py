"""The C half of TLS by itself; what it does on connections is in tests/asyncio/test_tls.py."""

import asyncio
import ssl

import pytest
import trustme

import fastaio
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


def test_an_interrupt_between_records_leaves_the_rest():
    """Raised where a signal's handler may be called: the connection goes on behind it."""
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    records = -1  # not counted yet

    def on_record(sslobj, direction, version, kind, message, data):
        nonlocal records
        if records >= 0 and direction == "read" and kind == ssl._TLSContentType.HEADER:
            records += 1
            if records == 4:
                raise KeyboardInterrupt

    server_context._msg_callback = on_record

    with asyncio.Runner(loop_factory=fastaio.new_event_loop) as runner:
        receiver = Receiver()
        tls = TLSProtocol(runner.get_loop(), receiver, server_context, None, server_side=True)
        carrier = Carrier(incoming)
        tls.connection_made(carrier)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        tls._feed(outgoing.read())
        client.do_handshake()
        tls._feed(outgoing.read())
        records = 0
        client.write(b"x" * 200_000 + b"end")
        with pytest.raises(KeyboardInterrupt):
            tls._feed(outgoing.read())
        tls._do_read()
        assert receiver.got[-1][-3:] == b"end"
        assert not carrier.aborted
        receiver.transport.abort()
        tls.connection_lost(None)
        runner.run(asyncio.sleep(0))
