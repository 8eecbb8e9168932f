"""Calls with wrong arguments: what Python says of asyncio's methods, it says of ours."""

import asyncio
import inspect
import os
import socket
from asyncio import base_events, base_subprocess, selector_events, sslproto, unix_events

import pytest

TWINS = {
    "Loop": asyncio.SelectorEventLoop,
    "Handle": asyncio.Handle,
    "TimerHandle": asyncio.TimerHandle,
    "Server": base_events.Server,
    "Transport": selector_events._SelectorSocketTransport,
    "DatagramTransport": selector_events._SelectorDatagramTransport,
    "ReadPipeTransport": unix_events._UnixReadPipeTransport,
    "WritePipeTransport": unix_events._UnixWritePipeTransport,
    "SSLTransport": sslproto._SSLProtocolTransport,
    "SubprocessTransport": base_subprocess.BaseSubprocessTransport,
}


def methods(cls):
    """Its public methods that are functions in Python."""
    for name, function in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_"):
            yield name, function


def wrong_calls(function):
    """Arguments that it cannot be called with."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1:]
    kinds = {parameter.kind for parameter in parameters}
    plain = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    needed = [p for p in plain if p.default is p.empty]
    calls = []
    if needed:
        calls.append(((), {}))
        calls.append(((), {needed[-1].name: print}) if len(needed) > 1 else ((), {}))
        calls.append(((None,) * (len(needed) - 1), {}))
        calls.append(((None,), {needed[0].name: print}))
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        calls.append(((print,) * (len(plain) + 1), {}))
        calls.append(((print,) * (len(plain) + 3), {}))
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        calls.append(((print,) * len(needed), {"nonsense": 1}))
        calls.append(((), {"nonsense": 1}))
    return [(args, kwargs) for args, kwargs in calls if not binds(signature, args, kwargs)]


def binds(signature, args, kwargs):
    try:
        signature.bind(None, *args, **kwargs)
    except TypeError:
        return False
    return True


def said_of(call, args, kwargs):
    with pytest.raises(TypeError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def compare(thing, twin):
    differing = {}
    for name, function in methods(twin):
        for args, kwargs in wrong_calls(function):
            right = said_of(function, (None, *args), kwargs)
            said = said_of(getattr(thing, name), args, kwargs)
            if said != right:
                differing[name] = (said, right)
    assert differing == {}


def test_of_the_loop(loop):
    compare(loop, TWINS["Loop"])


def test_of_handles(loop):
    compare(loop.call_soon(print), asyncio.Handle)
    compare(loop.call_later(1000, print), asyncio.TimerHandle)


def test_of_sockets(run):
    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            compare(transport, TWINS["Transport"])
            transport.abort()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, ("127.0.0.1", 0)
        )
        compare(transport, TWINS["DatagramTransport"])
        transport.abort()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        compare(server, TWINS["Server"])
        server.close()
        await asyncio.sleep(0)

    run(main())


def test_of_pipes(run):
    async def main():
        loop = asyncio.get_running_loop()
        read, write = (open(fd, mode, 0) for fd, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        transport, _ = await loop.connect_read_pipe(asyncio.Protocol, read)
        compare(transport, TWINS["ReadPipeTransport"])
        transport.close()
        transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, write)
        compare(transport, TWINS["WritePipeTransport"])
        transport.abort()
        await asyncio.sleep(0)

    run(main())


def test_of_tls(run, server_context, client_context):
    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=server_context)
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_connection(
            asyncio.Protocol, *address, ssl=client_context, server_hostname="localhost"
        )
        compare(transport, TWINS["SSLTransport"])
        transport.abort()
        server.close()
        await asyncio.sleep(0.01)

    run(main())


def test_of_subprocesses(run):
    async def main():
        loop = asyncio.get_running_loop()
        transport, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, "true")
        compare(transport, TWINS["SubprocessTransport"])
        await transport._wait()
        transport.close()

    run(main())
