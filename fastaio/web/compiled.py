"""The native router of a frozen application: every route with its handler wrapped once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _core
from .exceptions import HTTPException, HTTPMethodNotAllowed, HTTPNotFound
from .middleware import build_chain
from .resources import (
    AbstractResource,
    DynamicResource,
    MatchedSubAppResource,
    PlainResource,
    PrefixedSubAppResource,
)
from .routes import (
    AbstractRoute,
    MatchInfoError,
    SystemRoute,
    UrlMappingMatchInfo,
    _default_expect_handler,
)
from .static import StaticResource

if TYPE_CHECKING:
    from .app import Application
    from .request import Request
    from .response import StreamResponse

__all__ = ("compile_application",)


def compile_application(app: Application) -> _core.Router:
    """The router of `app`, which is frozen, with those of its sub-applications in it."""
    return _compile(app, (app,))


def _compile(app: Application, apps: tuple[Application, ...]) -> _core.Router:
    router = _core.Router(UrlMappingMatchInfo)
    signals = any(len(outer.on_response_prepare) > 0 for outer in apps)
    for resource in app.router.resources():
        _add_resource(router, resource, apps, signals)

    def refuse(make: Callable[[], HTTPException]) -> _core.Route:
        route = SystemRoute(make())
        route._apps = apps

        async def raise_it(request: Request) -> StreamResponse:
            raise make()

        handler = build_chain(raise_it, apps)
        return _core.Route(handler, route, app, (), MatchInfoError, signals)

    def method_not_allowed(method: str, allowed: set[str]) -> _core.Route:
        return refuse(functools.partial(HTTPMethodNotAllowed, method, allowed))

    router.set_fallback(refuse(HTTPNotFound), method_not_allowed)
    return router


def _add_resource(
    router: _core.Router,
    resource: AbstractResource,
    apps: tuple[Application, ...],
    signals: bool,
) -> None:
    if isinstance(resource, MatchedSubAppResource):
        rule: Any = resource._rule
        router.add_rule(rule.match_domain, _compile(resource._app, (*apps, resource._app)))
        return
    if isinstance(resource, PrefixedSubAppResource):
        inner = _compile(resource._app, (*apps, resource._app))
        router.add_router(resource.matched_path, inner)
        return
    for route in resource:
        route._apps = apps
        handler = _with_expect_handler(route, build_chain(route.handler, apps))
        known: dict[str, Any] = {"info": route, "app": apps[-1], "signals": signals}
        if isinstance(resource, StaticResource):
            router.add_prefix(route.method, resource.matched_path, handler, **known)
        elif isinstance(resource, DynamicResource):
            known["pattern"] = resource._pattern
            router.add(route.method, resource.matched_path, handler, **known)
        elif isinstance(resource, PlainResource):
            router.add(route.method, resource.matched_path, handler, **known)
        else:
            raise TypeError(f"a router cannot serve resources of the kind {resource!r}")


def _with_expect_handler(route: AbstractRoute, handler: Any) -> Any:
    """`handler` behind the route's own handler of an Expect field, if it has one."""
    expect_handler = route._expect_handler
    if expect_handler is _default_expect_handler:
        return handler

    @functools.wraps(handler)
    async def expecting(request: Request) -> StreamResponse:
        if request.headers.get("Expect"):
            answer = await expect_handler(request)
            if answer is not None:
                return answer
        response = handler(request)
        if inspect.isawaitable(response):
            response = await response
        return response  # type: ignore[no-any-return]

    return expecting
