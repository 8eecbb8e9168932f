"""Route definitions: routes described before there is an application to register them in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .routes import METH_ANY
from .view import METHODS

if TYPE_CHECKING:
    from .dispatcher import UrlDispatcher
    from .routes import AbstractRoute
    from .typedefs import PathLike, RouteHandler

__all__ = (
    "AbstractRouteDef",
    "RouteDef",
    "RouteTableDef",
    "StaticDef",
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "route",
    "static",
    "view",
)

_H = TypeVar("_H", bound=Callable[..., Any])


class AbstractRouteDef(ABC):
    """What :meth:`UrlDispatcher.add_routes` registers."""

    __slots__ = ()

    @abstractmethod
    def register(self, router: UrlDispatcher) -> list[AbstractRoute]:
        """Register in `router`; returns the routes it became."""


def _shown(kwargs: dict[str, Any]) -> str:
    return "".join(f", {name}={value!r}" for name, value in sorted(kwargs.items()))


@dataclass(frozen=True, repr=False, slots=True)
class RouteDef(AbstractRouteDef):
    """A handler for a method and a path.

    method: "*" for any. path: with its variables in braces. handler: what answers. kwargs: the
    other arguments of :meth:`UrlDispatcher.add_route`.
    """

    method: str
    path: str
    handler: RouteHandler
    kwargs: dict[str, Any]

    def __repr__(self) -> str:
        name = getattr(self.handler, "__name__", repr(self.handler))
        return f"<RouteDef {self.method} {self.path} -> {name!r}{_shown(self.kwargs)}>"

    def register(self, router: UrlDispatcher) -> list[AbstractRoute]:
        """Register in `router` by the add_ method of the request method; returns its route."""
        add = getattr(router, f"add_{self.method.lower()}", None)
        if self.method in METHODS and add is not None:
            return [add(self.path, self.handler, **self.kwargs)]
        return [router.add_route(self.method, self.path, self.handler, **self.kwargs)]


@dataclass(frozen=True, repr=False, slots=True)
class StaticDef(AbstractRouteDef):
    """A folder of files below a prefix.

    prefix: of the paths. path: of the folder. kwargs: the other arguments of
    :meth:`UrlDispatcher.add_static`.
    """

    prefix: str
    path: PathLike
    kwargs: dict[str, Any]

    def __repr__(self) -> str:
        return f"<StaticDef {self.prefix} -> {self.path}{_shown(self.kwargs)}>"

    def register(self, router: UrlDispatcher) -> list[AbstractRoute]:
        """Register in `router` by add_static(); returns its routes, for GET and HEAD."""
        return list(router.add_static(self.prefix, self.path, **self.kwargs))


def route(method: str, path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """A handler for any method, "*" for all of them."""
    return RouteDef(method, path, handler, kwargs)


def head(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """A handler for HEAD."""
    return route("HEAD", path, handler, **kwargs)


def options(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """A handler for OPTIONS."""
    return route("OPTIONS", path, handler, **kwargs)


def get(
    path: str,
    handler: RouteHandler,
    *,
    name: str | None = None,
    allow_head: bool = True,
    **kwargs: Any,
) -> RouteDef:
    """A handler for GET and, unless `allow_head` is false, for HEAD."""
    return route("GET", path, handler, name=name, allow_head=allow_head, **kwargs)


def post(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """A handler for POST."""
    return route("POST", path, handler, **kwargs)


def put(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """A handler for PUT."""
    return route("PUT", path, handler, **kwargs)


def patch(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """A handler for PATCH."""
    return route("PATCH", path, handler, **kwargs)


def delete(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """A handler for DELETE."""
    return route("DELETE", path, handler, **kwargs)


def view(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """A class-based view for all methods."""
    return route(METH_ANY, path, handler, **kwargs)


def static(prefix: str, path: PathLike, **kwargs: Any) -> StaticDef:
    """A folder of files below a prefix."""
    return StaticDef(prefix, path, kwargs)


class RouteTableDef(Sequence[AbstractRouteDef]):
    """Route definitions gathered by decorators, in their order."""

    def __init__(self) -> None:
        self._items: list[AbstractRouteDef] = []

    @overload
    def __getitem__(self, index: int) -> AbstractRouteDef: ...
    @overload
    def __getitem__(self, index: slice) -> list[AbstractRouteDef]: ...
    def __getitem__(self, index: int | slice) -> AbstractRouteDef | list[AbstractRouteDef]:
        return self._items[index]

    def __iter__(self) -> Iterator[AbstractRouteDef]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __repr__(self) -> str:
        return f"<RouteTableDef count={len(self._items)}>"

    def route(self, method: str, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Decorate a handler for any method, "*" for all of them."""

        def register(handler: _H) -> _H:
            self._items.append(RouteDef(method, path, handler, kwargs))
            return handler

        return register

    def head(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Decorate a handler for HEAD."""
        return self.route("HEAD", path, **kwargs)

    def get(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Decorate a handler for GET and, unless ``allow_head=False``, for HEAD."""
        return self.route("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Decorate a handler for POST."""
        return self.route("POST", path, **kwargs)

    def put(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Decorate a handler for PUT."""
        return self.route("PUT", path, **kwargs)

    def patch(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Decorate a handler for PATCH."""
        return self.route("PATCH", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Decorate a handler for DELETE."""
        return self.route("DELETE", path, **kwargs)

    def options(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Decorate a handler for OPTIONS."""
        return self.route("OPTIONS", path, **kwargs)

    def view(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Decorate a class-based view."""
        return self.route(METH_ANY, path, **kwargs)

    def static(self, prefix: str, path: PathLike, **kwargs: Any) -> None:
        """Add a folder of files below a prefix."""
        self._items.append(StaticDef(prefix, path, kwargs))
