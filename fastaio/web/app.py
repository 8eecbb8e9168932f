"""Application: routes, middlewares, signals and state, together with those of sub-applications."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .access_log import AbstractAccessLogger, AccessLogger
from .dispatcher import UrlDispatcher
from .domains import Domain, MaskDomain
from .keys import AppKey, NotAppKeyWarning
from .log import web_logger
from .middleware import build_chain, prepare_middlewares
from .resources import MatchedSubAppResource, PrefixedSubAppResource
from .signals import FrozenList, Signal

if TYPE_CHECKING:
    from .request import Request
    from .response import StreamResponse
    from .routedef import AbstractRouteDef
    from .routes import AbstractRoute
    from .server import Server
    from .typedefs import Middleware

__all__ = ("Application", "CleanupError")

_T = TypeVar("_T")
_U = TypeVar("_U")
_SubApp = TypeVar("_SubApp", bound=PrefixedSubAppResource)
_CleanupContextCallable = (
    "Callable[[Application], AbstractAsyncContextManager[None] | AsyncIterator[None]]"
)


class CleanupError(RuntimeError):
    """Several clean-up contexts failed; `exceptions` has what each raised."""

    @property
    def exceptions(self) -> list[BaseException]:
        """What was raised, in order."""
        exceptions: list[BaseException] = self.args[1]
        return exceptions


class CleanupContext(FrozenList[Any]):
    """Generators or context managers entered at start-up, left in reverse order at clean-up."""

    __slots__ = ("_exits",)

    def __init__(self) -> None:
        super().__init__()
        self._exits: list[AbstractAsyncContextManager[None]] = []

    async def _on_startup(self, app: Application) -> None:
        for make in self:
            context = make(app)
            if not isinstance(context, AbstractAsyncContextManager):
                context = asynccontextmanager(make)(app)
            await context.__aenter__()
            self._exits.append(context)

    async def _on_cleanup(self, app: Application) -> None:
        errors: list[BaseException] = []
        while self._exits:
            try:
                await self._exits.pop().__aexit__(None, None, None)
            except (Exception, asyncio.CancelledError) as exc:
                errors.append(exc)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise CleanupError("Multiple errors on cleanup stage", errors)


class Application(MutableMapping[str | AppKey[Any], Any]):
    """A web application; a mapping of its own state.

    logger: for what the application has to say. middlewares: the first is the outermost.
    handler_args: arguments of the server, over those of the runner. client_max_size: bytes of a
    request's body that read(), text(), json() and post() take, else 413; 0 or None: no limit.
    client_max_fields: fields of a form, else 413.
    """

    def __init__(
        self,
        *,
        logger: logging.Logger = web_logger,
        router: UrlDispatcher | None = None,
        middlewares: Iterable[Middleware] = (),
        handler_args: Mapping[str, Any] | None = None,
        client_max_size: int | None = 1024**2,
        client_max_fields: int = 1000,
        loop: asyncio.AbstractEventLoop | None = None,
        debug: Any = ...,
    ) -> None:
        for name, given in (
            ("router", router is not None),
            ("loop", loop is not None),
            ("debug", debug is not ...),
        ):
            if given:
                warnings.warn(f"{name} argument is deprecated", DeprecationWarning, stacklevel=2)
        self.logger = logger
        self._router = UrlDispatcher() if router is None else router
        assert isinstance(self._router, UrlDispatcher), router
        self._middlewares: FrozenList[Middleware] = FrozenList(middlewares)
        self._middlewares_handlers: tuple[Middleware, ...] = ()
        self._handler_args = handler_args
        self._client_max_size = client_max_size
        self._client_max_fields = client_max_fields
        self._loop = loop
        self._debug = debug
        self._state: dict[str | AppKey[Any], Any] = {}
        self._frozen = False
        self._pre_frozen = False
        self._subapps: list[Application] = []
        self._on_response_prepare = Signal(self)
        self._on_startup = Signal(self)
        self._on_shutdown = Signal(self)
        self._on_cleanup = Signal(self)
        self._cleanup_ctx = CleanupContext()
        self._on_startup.append(self._cleanup_ctx._on_startup)
        self._on_cleanup.append(self._cleanup_ctx._on_cleanup)

    def __init_subclass__(cls) -> None:
        warnings.warn(
            f"Inheritance class {cls.__name__} from web.Application is discouraged",
            DeprecationWarning,
            stacklevel=3,
        )

    # -- state ------------------------------------------------------------------------------------

    @overload
    def __getitem__(self, key: AppKey[_T]) -> _T: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: str | AppKey[Any]) -> Any:
        return self._state[key]

    def _check_frozen(self) -> None:
        if self._frozen:
            warnings.warn(
                "Changing state of started or joined application is deprecated",
                DeprecationWarning,
                stacklevel=3,
            )

    @overload
    def __setitem__(self, key: AppKey[_T], value: _T) -> None: ...
    @overload
    def __setitem__(self, key: str, value: Any) -> None: ...
    def __setitem__(self, key: str | AppKey[Any], value: Any) -> None:
        self._check_frozen()
        if not isinstance(key, AppKey):
            warnings.warn(
                "It is recommended to use web.AppKey instances for keys.",
                category=NotAppKeyWarning,
                stacklevel=2,
            )
        self._state[key] = value

    def __delitem__(self, key: str | AppKey[Any]) -> None:
        self._check_frozen()
        del self._state[key]

    def __len__(self) -> int:
        return len(self._state)

    def __iter__(self) -> Iterator[str | AppKey[Any]]:
        return iter(self._state)

    @overload  # type: ignore[override]
    def get(self, key: AppKey[_T], default: None = ...) -> _T | None: ...
    @overload
    def get(self, key: AppKey[_T], default: _U) -> _T | _U: ...
    @overload
    def get(self, key: str, default: Any = ...) -> Any: ...
    def get(self, key: str | AppKey[Any], default: Any = None) -> Any:
        """What the application has stored under `key`, or `default`."""
        return self._state.get(key, default)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        return True

    # -- set-up -----------------------------------------------------------------------------------

    @property
    def router(self) -> UrlDispatcher:
        """The resources and routes."""
        return self._router

    @property
    def middlewares(self) -> FrozenList[Middleware]:
        """The middlewares, outermost first."""
        return self._middlewares

    @property
    def on_response_prepare(self) -> Signal:
        """Awaited with (request, response) before a response's head is sent."""
        return self._on_response_prepare

    @property
    def on_startup(self) -> Signal:
        """Awaited with the application before the server starts."""
        return self._on_startup

    @property
    def on_shutdown(self) -> Signal:
        """Awaited with the application before connections are closed."""
        return self._on_shutdown

    @property
    def on_cleanup(self) -> Signal:
        """Awaited with the application after connections are closed."""
        return self._on_cleanup

    @property
    def cleanup_ctx(self) -> CleanupContext:
        """Async generators of one yield: what is before it at start-up, behind it at clean-up."""
        return self._cleanup_ctx

    def add_routes(self, routes: Iterable[AbstractRouteDef]) -> list[AbstractRoute]:
        """Register route definitions; returns the routes they became."""
        return self._router.add_routes(routes)

    def add_subapp(self, prefix: str, subapp: Application) -> PrefixedSubAppResource:
        """Let `subapp` answer all requests for paths below `prefix`."""
        if not isinstance(prefix, str):
            raise TypeError("Prefix must be str")
        prefix = prefix.rstrip("/")
        if not prefix:
            raise ValueError("Prefix cannot be empty")
        return self._add_subapp(lambda: PrefixedSubAppResource(prefix, subapp), subapp)

    def add_domain(self, domain: str, subapp: Application) -> MatchedSubAppResource:
        """Let `subapp` answer all requests for a host name, in which "*" is any run."""
        if not isinstance(domain, str):
            raise TypeError("Domain must be str")
        rule = MaskDomain(domain) if "*" in domain else Domain(domain)
        return self._add_subapp(lambda: MatchedSubAppResource(rule, subapp), subapp)

    def _add_subapp(self, make: Callable[[], _SubApp], subapp: Application) -> _SubApp:
        if self._frozen:
            raise RuntimeError("Cannot add sub application to frozen application")
        if subapp.frozen:
            raise RuntimeError("Cannot add frozen application")
        resource = make()
        self._router.register_resource(resource)
        for name in ("on_startup", "on_shutdown", "on_cleanup"):
            self._pass_signal_on(name, subapp)
        self._subapps.append(subapp)
        subapp.pre_freeze()
        if self._loop is not None:
            subapp._set_loop(self._loop)
        return resource

    def _pass_signal_on(self, name: str, subapp: Application) -> None:
        signal: Signal = getattr(subapp, name)

        async def send(_: Application) -> None:
            await signal.send(subapp)

        getattr(self, name).append(send)

    @property
    def pre_frozen(self) -> bool:
        """Whether routes, middlewares and signals are closed to changes."""
        return self._pre_frozen

    def pre_freeze(self) -> None:
        """Close routes, middlewares and signals to changes; the state stays open."""
        if self._pre_frozen:
            return
        self._pre_frozen = True
        for closed in (
            self._middlewares,
            self._router,
            self._on_response_prepare,
            self._cleanup_ctx,
            self._on_startup,
            self._on_shutdown,
            self._on_cleanup,
        ):
            closed.freeze()
        self._middlewares_handlers = prepare_middlewares(self)
        for subapp in self._subapps:
            subapp.pre_freeze()

    @property
    def frozen(self) -> bool:
        """Whether the application is closed to changes."""
        return self._frozen

    def freeze(self) -> None:
        """Close the application to changes."""
        if not self._frozen:
            self.pre_freeze()
            self._frozen = True
            for subapp in self._subapps:
                subapp.freeze()

    # -- running ----------------------------------------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Deprecated: the loop the application runs on."""
        warnings.warn("loop property is deprecated", DeprecationWarning, stacklevel=2)
        return self._loop

    @property
    def debug(self) -> Any:
        """Deprecated: whether the loop is in debug mode."""
        warnings.warn("debug property is deprecated", DeprecationWarning, stacklevel=2)
        return self._debug

    def _set_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        if loop is None:
            loop = asyncio.get_event_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError("web.Application instance initialized with different loop")
        self._loop = loop
        if self._debug is ...:
            self._debug = loop.get_debug()
        for subapp in self._subapps:
            subapp._set_loop(loop)

    def _make_handler(
        self,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        access_log_class: type[AbstractAccessLogger] = AccessLogger,
        **kwargs: Any,
    ) -> Server:
        from .compiled import compile_application
        from .server import Server

        self._set_loop(loop)
        self.freeze()
        kwargs.setdefault("debug", self._debug)
        kwargs.update(self._handler_args or {})
        return Server(
            None,
            router=compile_application(self),
            loop=self._loop,
            access_log_class=access_log_class,
            client_max_size=self._client_max_size,
            client_max_fields=self._client_max_fields,
            **kwargs,
        )

    def make_handler(self, **kwargs: Any) -> Server:
        """Deprecated: the application's server; use :class:`AppRunner`."""
        warnings.warn(
            "Application.make_handler(...) is deprecated, use AppRunner API instead",
            DeprecationWarning,
            stacklevel=2,
        )
        return self._make_handler(**kwargs)

    async def startup(self) -> None:
        """Send on_startup."""
        await self._on_startup.send(self)

    async def shutdown(self) -> None:
        """Send on_shutdown."""
        await self._on_shutdown.send(self)

    async def cleanup(self) -> None:
        """Send on_cleanup; after a failed start-up only leave the contexts that were entered."""
        if self._on_cleanup.frozen:
            await self._on_cleanup.send(self)
        else:
            await self._cleanup_ctx._on_cleanup(self)

    async def _handle(self, request: Request) -> StreamResponse:
        """Answer a request without a server: for tests, and for routers that are not native."""
        match_info = await self._router.resolve(request)
        match_info.add_app(self)
        match_info.freeze()
        request._match_info = match_info
        if request.headers.get("Expect"):
            response = await match_info.expect_handler(request)
            if response is not None:
                return response
        chain: Callable[[Request], Awaitable[StreamResponse]] = build_chain(
            match_info.handler, match_info.apps
        )
        return await chain(request)

    def __call__(self) -> Application:
        """Itself: for programs that take a factory of applications."""
        return self

    def __repr__(self) -> str:
        return f"<Application 0x{id(self):x}>"
