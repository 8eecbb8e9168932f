"""``getaddrinfo()`` and ``getnameinfo()`` without the executor.

Numbers are answered at once and without a thread, since nothing has to be looked up, and by the
real functions of ``socket``, so that every way of writing an address, every flag and the order of
the entries are libc's. Where the answer's shape is known from an earlier one, only the address in
it is new. Names are looked up in threads of the loop (csrc/loop/resolver.c).
"""

from __future__ import annotations

import _socket
import re
import socket
import sys
from typing import Any, NamedTuple

from ._core import numeric_address

__all__ = ["families", "is_plain", "kinds", "numeric_addrinfo", "numeric_nameinfo"]

#: Who is called in earnest: a program that puts its own function there wants it to be asked, also
#: one that did so before this was imported.
_getaddrinfo = socket.getaddrinfo
_getaddrinfo_inside = _socket.getaddrinfo
_getnameinfo = socket.getnameinfo
_are_genuine = _getaddrinfo.__module__ == "socket" and _getnameinfo is _socket.getnameinfo

#: What ``socket.getaddrinfo`` makes of the numbers in an answer.
families = {int(member): member for member in socket.AddressFamily}
kinds = {int(member): member for member in socket.SocketKind}

_Entry = tuple[Any, Any, int, str, Any]


class _Shape(NamedTuple):
    """What is the same in the answers for all addresses of one family."""

    question: tuple[int, int, int]  # family, type and proto as the audit event has them
    entries: tuple[tuple[Any, Any, int], ...]


#: Filled by the answers that libc gave: only what it accepts gets in, so it stays small.
_shapes: dict[tuple[int, int, int, int, int], _Shape] = {}

_AI_NUMERICHOST = int(socket.AI_NUMERICHOST)
#: Flags which decide nothing about a numeric host and a numeric port.
_PLAIN_FLAGS = int(socket.AI_PASSIVE | socket.AI_NUMERICHOST | socket.AI_NUMERICSERV)
#: Flags with which libc looks at nothing but numbers and this machine. AI_IDN may load libraries.
_LOCAL_FLAGS = _PLAIN_FLAGS | int(
    socket.AI_CANONNAME | socket.AI_V4MAPPED | socket.AI_ALL | socket.AI_ADDRCONFIG
)

#: What may be an address to libc: "127.1", "0x7f.1", "fe80::1%eth0". AI_NUMERICHOST has the word.
_HOST = r"[0-9][0-9a-fA-FxX.]*|[0-9a-fA-F.]*:[0-9a-fA-F.:]*(?:%[!-~]+)?"
_HOST_TEXT = re.compile(_HOST)
_HOST_BYTES = re.compile(_HOST.encode())
#: A service that is a number; names are looked up in files.
_PORT_TEXT = re.compile("[0-9]{1,5}")
_PORT_BYTES = re.compile(b"[0-9]{1,5}")

#: getnameinfo() looks nothing up with both of these; the rest is for those that do no harm.
_NUMERIC_NAME = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
_NAME_FLAGS = _NUMERIC_NAME | socket.NI_DGRAM | socket.NI_NAMEREQD | socket.NI_NOFQDN


def is_plain() -> bool:
    """Whether ``socket.getaddrinfo`` is the real one, inside too."""
    return (
        socket.getaddrinfo is _getaddrinfo
        and _socket.getaddrinfo is _getaddrinfo_inside
        and _are_genuine
    )


def numeric_addrinfo(
    host: Any, port: Any, family: Any, type: Any, proto: Any, flags: Any
) -> list[_Entry] | None:
    """What ``socket.getaddrinfo`` returns; None where it might have to look something up.

    Also None where it would raise: it is for the caller to have it raise, as asyncio does.
    """
    if not is_plain():
        return None
    address = numeric_address(host, port, family, type, proto, flags)
    if address is not None:
        shape = _shapes.get((len(address), family, type, proto, flags))
        if shape is not None:
            sys.audit("socket.getaddrinfo", host, port, *shape.question)
            return [(af, kind, number, "", address) for af, kind, number in shape.entries]
    elif not (_may_be_host(host) and _may_be_port(port)):
        return None
    return _ask(host, port, family, type, proto, flags, address)


def _may_be_host(host: Any) -> bool:
    if isinstance(host, str):
        return _HOST_TEXT.fullmatch(host) is not None
    if isinstance(host, bytes):
        return _HOST_BYTES.fullmatch(host) is not None
    return host is None


def _may_be_port(port: Any) -> bool:
    if isinstance(port, str):
        return _PORT_TEXT.fullmatch(port) is not None
    if isinstance(port, bytes):
        return _PORT_BYTES.fullmatch(port) is not None
    return port is None or isinstance(port, int)


def _ask(
    host: Any, port: Any, family: Any, type: Any, proto: Any, flags: Any, address: Any
) -> list[_Entry] | None:
    """libc's answer, if it needs no look-up for it."""
    for hint in (family, type, proto, flags):
        if not isinstance(hint, int):
            return None
    flags = int(flags)
    if flags & ~_LOCAL_FLAGS:
        return None
    try:
        found = _getaddrinfo(host, port, family, type, proto, flags | _AI_NUMERICHOST)
    except (OSError, OverflowError, UnicodeError):
        return None
    if flags | _PLAIN_FLAGS == _PLAIN_FLAGS and all(entry[3:] == ("", address) for entry in found):
        _shapes[len(address), family, type, proto, flags] = _Shape(
            (int(family), int(type), int(proto)), tuple(entry[:3] for entry in found)
        )
    return found


def numeric_nameinfo(sockaddr: Any, flags: Any) -> tuple[str, str] | None:
    """What ``socket.getnameinfo`` returns, or raises, for flags that ask for numbers only.

    None where it might have to look something up.
    """
    if socket.getnameinfo is not _getnameinfo or not isinstance(flags, int):
        return None
    if flags & _NUMERIC_NAME != _NUMERIC_NAME or flags & ~_NAME_FLAGS:
        return None
    return _getnameinfo(sockaddr, flags)
