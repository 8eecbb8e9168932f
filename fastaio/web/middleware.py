"""Middlewares: the marker, the chain built once for each route, and the path normaliser."""

from __future__ import annotations

import functools
import inspect
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .exceptions import HTTPMove, HTTPPermanentRedirect
from .routes import SystemRoute

if TYPE_CHECKING:
    from .app import Application
    from .request import Request
    from .response import StreamResponse
    from .typedefs import Handler, Middleware, RouteHandler

__all__ = ("build_chain", "middleware", "normalize_path_middleware", "prepare_middlewares")

_F = TypeVar("_F")


def middleware(function: _F) -> _F:
    """Mark ``async def function(request, handler)`` as a middleware."""
    function.__middleware_version__ = 1  # type: ignore[attr-defined]
    return function


def prepare_middlewares(app: Application) -> tuple[Middleware, ...]:
    """The middlewares of `app`, innermost first, with factories of the old style wrapped."""
    prepared = []
    for item in reversed(app.middlewares):
        if getattr(item, "__middleware_version__", None) == 1:
            prepared.append(item)
        else:
            warnings.warn(
                f'old-style middleware "{item!r}" deprecated, use @middleware',
                DeprecationWarning,
                stacklevel=3,
            )
            prepared.append(_of_factory(app, item))
    return tuple(prepared)


def _of_factory(app: Application, factory: Any) -> Middleware:
    """A middleware out of ``async def factory(app, handler) -> handler``."""

    async def run(request: Request, handler: Handler) -> StreamResponse:
        inner: Handler = await factory(app, handler)
        return await inner(request)

    return run


def _enter(request: Request, app: Application) -> None:
    request.match_info.current_app = app
    request._override(app=app)


def _within(app: Application) -> Middleware:
    """The outermost step of an application among several: ``request.app`` is `app` inside."""

    async def run(request: Request, handler: Handler) -> StreamResponse:
        before = request.app
        _enter(request, app)
        try:
            return await handler(request)
        finally:
            _enter(request, before)

    return run


def _awaitable(handler: Any) -> Handler:
    """`handler` as middlewares await it: a plain function's result is made awaitable."""
    if inspect.iscoroutinefunction(handler) or isinstance(handler, type):
        return handler  # type: ignore[no-any-return]
    if isinstance(handler, functools.partial) and inspect.iscoroutinefunction(handler.func):
        return handler

    @functools.wraps(handler)
    async def call(request: Request) -> StreamResponse:
        result = handler(request)
        if inspect.isawaitable(result):
            result = await result
        return result  # type: ignore[no-any-return]

    return call


def build_chain(handler: RouteHandler, apps: Sequence[Application]) -> Any:
    """`handler` wrapped in the middlewares of `apps`, which are outermost application first.

    Returns `handler` itself where there is no middleware, so that a request pays only for what
    it uses.
    """
    if not any(app.middlewares for app in apps):
        return handler
    chain: Any = _awaitable(handler)
    for app in reversed(apps):
        steps = app._middlewares_handlers
        if len(apps) > 1:
            steps = (*steps, _within(app))
        for step in steps:
            chain = functools.update_wrapper(functools.partial(step, handler=chain), chain)
    return chain


async def _resolves(request: Request, path: str) -> bool:
    other = request.clone(rel_url=path)
    match_info = await request.app.router.resolve(other)
    return match_info.http_exception is None


def normalize_path_middleware(
    *,
    append_slash: bool = True,
    remove_slash: bool = False,
    merge_slashes: bool = True,
    redirect_class: type[HTTPMove] = HTTPPermanentRedirect,
) -> Middleware:
    """Redirect a request for an unknown path to the normalized path that some route has.

    Tried in this order: slashes merged, a slash appended or removed, both. `append_slash` and
    `remove_slash` exclude each other (AssertionError). The query stays.
    """
    assert not (append_slash and remove_slash), "Cannot both remove and append slash"

    def candidates(path: str, decoded: str) -> list[str]:
        found = []
        if merge_slashes:
            found.append(re.sub("//+", "/", path))
        if append_slash and not decoded.endswith("/"):
            found.append(path + "/")
        if remove_slash and decoded.endswith("/"):
            found.append(path[:-1])
        if merge_slashes and append_slash:
            found.append(re.sub("//+", "/", path + "/"))
        if merge_slashes and remove_slash:
            found.append(re.sub("//+", "/", path)[:-1])
        # A path of two leading slashes would be another host's URL in the Location field.
        return [re.sub("^//+", "/", item) for item in found]

    @middleware
    async def normalize(request: Request, handler: Handler) -> StreamResponse:
        if isinstance(request.match_info.route, SystemRoute):
            url = request.rel_url
            query = f"?{url.raw_query_string}" if url.raw_query_string else ""
            for candidate in candidates(url.raw_path, url.path):
                if await _resolves(request, candidate):
                    raise redirect_class(candidate + query)
        return await handler(request)

    return normalize
