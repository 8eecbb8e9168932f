"""``loop._selector`` as a selector: files that a program registers with it itself."""

import asyncio
import selectors
import socket

import pytest

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def turns(loop, number=3):
    async def wait():
        for _ in range(number):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)

    loop.run_until_complete(wait())


def handle(loop, callback, *args):
    return asyncio.Handle(callback, args, loop)


def test_handles_registered(loop, pair):
    """What asyncio's add_reader() does, step by step."""
    ours, theirs = pair
    seen = []
    data = (handle(loop, lambda: seen.append(ours.recv(9))), None)
    key = loop._selector.register(ours, READ, data)
    assert key == (ours, ours.fileno(), READ, data)
    assert loop._selector.get_key(ours) == loop._selector.get_map()[ours] == key
    theirs.send(b"x")
    turns(loop)
    assert seen == [b"x"]
    with pytest.raises(KeyError, match="is already registered"):
        loop._selector.register(ours, WRITE, data)
    assert loop._selector.unregister(ours) == key
    theirs.send(b"y")
    turns(loop)
    assert seen == [b"x"]
    for method in (loop._selector.unregister, loop._selector.get_key):
        with pytest.raises(KeyError):
            method(ours)
    with pytest.raises(KeyError):
        loop._selector.modify(ours, READ)
    for events in (0, 4, 7):
        with pytest.raises(ValueError, match="Invalid events"):
            loop._selector.register(ours, events)


def test_modified(loop, pair):
    ours, _ = pair
    seen = []
    nothing = loop._selector.register(ours, READ, (handle(loop, seen.append, "read"), None))
    turns(loop)
    assert seen == []

    def once():
        seen.append("written")
        loop._selector.modify(ours, READ, nothing.data)

    key = loop._selector.modify(ours, READ | WRITE, (nothing.data[0], handle(loop, once)))
    assert loop._selector.get_key(ours) == key
    turns(loop)
    assert seen == ["written"]
    assert loop._selector.get_key(ours.fileno()).events == READ
    loop._selector.unregister(ours)


def test_cancelled(loop, pair):
    ours, theirs = pair
    reader = handle(loop, print)
    loop._selector.register(ours, READ, (reader, None))
    reader.cancel()
    theirs.send(b"x")
    turns(loop)
    with pytest.raises(KeyError):
        loop._selector.get_key(ours)


def test_beside_add_reader(loop, pair):
    ours, theirs = pair
    seen = []
    loop._selector.register(ours, READ, (handle(loop, print, "never"), None))
    loop.add_reader(ours, lambda: seen.append(ours.recv(9)))
    theirs.send(b"x")
    turns(loop)
    assert seen == [b"x"]
    (reader, _) = loop._selector.get_key(ours).data
    assert not reader.cancelled()
    assert loop.remove_reader(ours)
    loop._selector.register(ours, READ, (handle(loop, print, "never"), None))
    assert loop.remove_reader(ours)
    theirs.send(b"y")
    turns(loop)
    assert seen == [b"x"]


def test_data_of_another_kind(loop_factory, pair):
    """They are for a _process_events() of the program's own."""
    ours, theirs = pair
    loop = loop_factory()
    seen = []

    class Loop(type(loop)):
        def _process_events(self, events):
            for key, mask in events:
                if key.data == "mine":
                    seen.append((key.fileobj, mask, ours.recv(9)))
                else:
                    super()._process_events([(key, mask)])

    loop.__class__ = Loop
    loop._selector.register(ours, READ, "mine")
    theirs.send(b"x")
    turns(loop)
    assert seen == [(ours, READ, b"x")]
    loop._selector.unregister(ours)
