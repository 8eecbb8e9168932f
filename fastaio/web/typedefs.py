"""Types that several modules and the applications' own annotations use."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from multidict import CIMultiDict, CIMultiDictProxy, istr
    from yarl import URL

    from .request import Request
    from .response import StreamResponse
    from .view import AbstractView

__all__ = (
    "ExpectHandler",
    "Handler",
    "JSONBytesEncoder",
    "JSONDecoder",
    "JSONEncoder",
    "LooseHeaders",
    "Middleware",
    "PathLike",
    "RawHeaders",
    "RouteHandler",
    "StrOrURL",
)

PathLike: TypeAlias = "str | os.PathLike[str]"
StrOrURL: TypeAlias = "str | URL"
JSONEncoder = Callable[[Any], str]
JSONBytesEncoder = Callable[[Any], bytes]
JSONDecoder = Callable[[str], Any]
RawHeaders = tuple[tuple[bytes, bytes], ...]
LooseHeaders: TypeAlias = (
    "Mapping[str, str] | Mapping[istr, str] | CIMultiDict[str] | CIMultiDictProxy[str]"
    " | Iterable[tuple[str | istr, str]]"
)

# What a middleware is given and awaits.
Handler: TypeAlias = "Callable[[Request], Awaitable[StreamResponse]]"
# What a route is given: also a plain function, and a class-based view.
RouteHandler: TypeAlias = (
    "Callable[[Request], Awaitable[StreamResponse] | StreamResponse] | type[AbstractView]"
)
ExpectHandler: TypeAlias = "Callable[[Request], Awaitable[StreamResponse | None]]"


class Middleware(Protocol):
    """A coroutine function that answers a request, usually by awaiting `handler`."""

    def __call__(self, request: Request, handler: Handler) -> Awaitable[StreamResponse]: ...
