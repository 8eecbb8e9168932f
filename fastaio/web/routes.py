"""Routes, a method and its handler at a resource, and the result of matching one."""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from yarl import URL

from .. import _core
from .exceptions import HTTPException, HTTPExpectationFailed

if TYPE_CHECKING:
    from .app import Application
    from .request import Request
    from .resources import AbstractResource
    from .response import StreamResponse
    from .typedefs import ExpectHandler, RouteHandler

__all__ = (
    "AbstractRoute",
    "MatchInfoError",
    "ResourceRoute",
    "SystemRoute",
    "UrlMappingMatchInfo",
)

METH_ANY = "*"
# token of RFC 9110 5.6.2
_TOKEN = re.compile(r"[0-9A-Za-z!#$%&'*+\-.^_`|~]+")


async def _default_expect_handler(request: Request) -> None:
    """Refuse any expectation but "100-continue" (RFC 9110 10.1.1), which the connection answers."""
    expect = request.headers.get("Expect", "")
    if request.version >= (1, 1) and expect.lower() != "100-continue":
        raise HTTPExpectationFailed(text=f"Unknown Expect: {expect}")


class AbstractRoute(ABC):
    """A request method ("*" for any), its handler and the resource they belong to."""

    # Applications from the outermost to the one that has the route: set when they are frozen.
    _apps: tuple[Application, ...] = ()

    def __init__(
        self,
        method: str,
        handler: RouteHandler,
        *,
        expect_handler: ExpectHandler | None = None,
        resource: AbstractResource | None = None,
    ) -> None:
        if expect_handler is None:
            expect_handler = _default_expect_handler
        assert inspect.iscoroutinefunction(expect_handler), (
            f"Coroutine is expected, got {expect_handler!r}"
        )
        method = method.upper()
        if not _TOKEN.fullmatch(method):
            raise ValueError(f"{method} is not allowed HTTP method")
        assert callable(handler), handler
        self._method = method
        self._handler = handler
        self._expect_handler = expect_handler
        self._resource = resource

    @property
    def method(self) -> str:
        """The request method in upper case, "*" for any."""
        return self._method

    @property
    def handler(self) -> Any:
        """What answers a request, without the middlewares."""
        return self._handler

    @property
    @abstractmethod
    def name(self) -> str | None:
        """The resource's name."""

    @property
    def resource(self) -> AbstractResource | None:
        """What the route belongs to; None for an error's."""
        return self._resource

    @abstractmethod
    def get_info(self) -> dict[str, Any]:
        """What is known of the path, for introspection."""

    @abstractmethod
    def url_for(self, *args: str, **kwargs: str) -> URL:
        """The resource's URL with these values of its variables."""

    async def handle_expect_header(self, request: Request) -> StreamResponse | None:
        """Handle a request with an Expect field; a response that is returned is the answer."""
        return await self._expect_handler(request)


class ResourceRoute(AbstractRoute):
    """A route of a resource."""

    def __init__(
        self,
        method: str,
        handler: RouteHandler,
        resource: AbstractResource,
        *,
        expect_handler: ExpectHandler | None = None,
    ) -> None:
        super().__init__(method, handler, expect_handler=expect_handler, resource=resource)

    @property
    def name(self) -> str | None:
        """The resource's name, if it has one."""
        return None if self._resource is None else self._resource.name

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """The resource's URL with these values of its variables, as its url_for() makes it."""
        assert self._resource is not None
        return self._resource.url_for(*args, **kwargs)

    def get_info(self) -> dict[str, Any]:
        """The resource's get_info()."""
        assert self._resource is not None
        return self._resource.get_info()

    def __repr__(self) -> str:
        return f"<ResourceRoute [{self.method}] {self._resource} -> {self.handler!r}"


class SystemRoute(AbstractRoute):
    """The route of a request that no resource matches: raises its exception."""

    def __init__(self, http_exception: HTTPException) -> None:
        super().__init__(METH_ANY, self._raise)
        self._http_exception = http_exception

    async def _raise(self, request: Request) -> StreamResponse:
        raise self._http_exception

    @property
    def name(self) -> str | None:
        """None."""
        return None

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """RuntimeError: no path belongs to it."""
        raise RuntimeError(".url_for() is not allowed for SystemRoute")

    def get_info(self) -> dict[str, Any]:
        """The exception, as "http_exception"."""
        return {"http_exception": self._http_exception}

    @property
    def status(self) -> int:
        """Status of the exception."""
        return self._http_exception.status

    @property
    def reason(self) -> str:
        """Reason phrase of the exception."""
        return self._http_exception.reason

    def __repr__(self) -> str:
        return f"<SystemRoute {self.status}: {self.reason}>"


class UrlMappingMatchInfo(_core.MatchInfo):
    """The path's variables by name, decoded, and the route and applications that matched.

    The server makes it without calling __init__, so what is not set yet is the route's.
    """

    __slots__ = ("_apps", "_current_app", "_frozen")

    route: AbstractRoute
    _apps: tuple[Application, ...]
    _current_app: Application
    _frozen: bool

    def __init__(self, match_dict: dict[str, str], route: AbstractRoute) -> None:
        super().__init__(match_dict, route)
        self._apps = ()
        self._frozen = False

    @property
    def _route(self) -> AbstractRoute:
        return self.route

    @property
    def handler(self) -> Any:
        """The route's handler, without the middlewares."""
        return self.route.handler

    @property
    def expect_handler(self) -> ExpectHandler:
        """The route's handler of an Expect field."""
        return self.route.handle_expect_header

    @property
    def http_exception(self) -> HTTPException | None:
        """Why nothing matched, or None."""
        return None

    def get_info(self) -> dict[str, Any]:
        """The route's get_info()."""
        return self.route.get_info()

    @property
    def apps(self) -> tuple[Application, ...]:
        """The applications, outermost first."""
        try:
            return self._apps
        except AttributeError:
            return self.route._apps

    def add_app(self, app: Application) -> None:
        """Put `app` round the applications so far. RuntimeError after :meth:`freeze`."""
        if getattr(self, "_frozen", True):
            raise RuntimeError("Cannot change apps stack after .freeze() call")
        if not self._apps:
            self._current_app = app
        self._apps = (app, *self._apps)

    @property
    def current_app(self) -> Application:
        """The application whose middleware or handler runs."""
        try:
            return self._current_app
        except AttributeError:
            apps = self.apps
            assert apps, "the match belongs to no application"
            return apps[-1]

    @current_app.setter
    def current_app(self, app: Application) -> None:
        if app not in self.apps:
            raise RuntimeError(f"Expected one of the following apps {self.apps!r}, got {app!r}")
        self._current_app = app

    def freeze(self) -> None:
        """No more applications after this."""
        self._frozen = True

    def __repr__(self) -> str:
        return f"<MatchInfo {dict.__repr__(self)}: {self.route}>"


class MatchInfoError(UrlMappingMatchInfo):
    """The match of a request that no resource matches."""

    __slots__ = ()

    route: SystemRoute

    def __init__(self, http_exception: HTTPException) -> None:
        super().__init__({}, SystemRoute(http_exception))

    @property
    def http_exception(self) -> HTTPException:
        """Why nothing matched: 404 or 405."""
        return self.route._http_exception

    def __repr__(self) -> str:
        exception = self.http_exception
        return f"<MatchInfoError {exception.status}: {exception.reason}>"
