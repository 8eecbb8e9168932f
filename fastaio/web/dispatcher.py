"""UrlDispatcher: the resources of an application, by order, by name and by path."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sized
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .exceptions import HTTPMethodNotAllowed, HTTPNotFound
from .resources import (
    AbstractResource,
    DynamicResource,
    MatchedSubAppResource,
    PlainResource,
    Resource,
)
from .routes import METH_ANY, AbstractRoute, MatchInfoError, ResourceRoute, UrlMappingMatchInfo
from .static import StaticResource

if TYPE_CHECKING:
    from .request import Request
    from .routedef import AbstractRouteDef
    from .typedefs import ExpectHandler, PathLike, RouteHandler

__all__ = ("UrlDispatcher",)

_NAME_SEPARATORS = re.compile(r"[.:-]")


class ResourcesView(Sized, Iterable[AbstractResource], Container[AbstractResource]):
    """The resources of a router, in their order."""

    def __init__(self, resources: list[AbstractResource]) -> None:
        self._resources = resources

    def __len__(self) -> int:
        return len(self._resources)

    def __iter__(self) -> Iterator[AbstractResource]:
        return iter(self._resources)

    def __contains__(self, resource: object) -> bool:
        return resource in self._resources


class RoutesView(Sized, Iterable[AbstractRoute], Container[AbstractRoute]):
    """The routes of a router's resources, in their order."""

    def __init__(self, resources: list[AbstractResource]) -> None:
        self._routes = [route for resource in resources for route in resource]

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._routes)

    def __contains__(self, route: object) -> bool:
        return route in self._routes


class UrlDispatcher(Mapping[str, AbstractResource]):
    """Finds the route of a request; a mapping of the named resources.

    Of two resources that both match, the one with the longer fixed start of its path wins, and
    of two with the same start the one that was added first. Requests are matched natively by
    what :mod:`fastaio.web.compiled` makes of this; :meth:`resolve` is the same in Python.
    """

    def __init__(self) -> None:
        self._frozen = False
        self._resources: list[AbstractResource] = []
        self._named_resources: dict[str, AbstractResource] = {}
        self._resource_index: dict[str, list[AbstractResource]] = {}
        self._matched_sub_app_resources: list[MatchedSubAppResource] = []

    # -- matching ---------------------------------------------------------------------------------

    async def resolve(self, request: Request) -> UrlMappingMatchInfo:
        """The match of `request`; one with an http_exception when nothing matches."""
        allowed: set[str] = set()
        for resource in self._candidates(request.rel_url.path_safe):
            match_info, methods = await resource.resolve(request)
            if match_info is not None:
                return match_info
            allowed |= methods
        if allowed:
            return MatchInfoError(HTTPMethodNotAllowed(request.method, allowed))
        return MatchInfoError(HTTPNotFound())

    def _candidates(self, path: str) -> Iterator[AbstractResource]:
        """Resources that may match `path`, in the order in which they win."""
        yield from self._matched_sub_app_resources
        while path:
            yield from self._resource_index.get(path, ())
            if path == "/":
                break
            path = path.rpartition("/")[0] or "/"

    # -- registering ------------------------------------------------------------------------------

    @property
    def frozen(self) -> bool:
        """Whether the router is closed to changes."""
        return self._frozen

    def freeze(self) -> None:
        """Close the router to changes."""
        self._frozen = True
        for resource in self._resources:
            resource.freeze()

    def register_resource(self, resource: AbstractResource) -> None:
        """Add a resource. RuntimeError when frozen, ValueError for a bad or taken name."""
        assert isinstance(resource, AbstractResource), (
            f"Instance of AbstractResource class is required, got {resource!r}"
        )
        if self._frozen:
            raise RuntimeError("Cannot register a resource into frozen router.")
        if resource.name is not None:
            self._check_name(resource.name)
            self._named_resources[resource.name] = resource
        self._resources.append(resource)
        if isinstance(resource, MatchedSubAppResource):
            self._matched_sub_app_resources.append(resource)
        else:
            self.index_resource(resource)

    def _check_name(self, name: str) -> None:
        for part in _NAME_SEPARATORS.split(name):
            if keyword.iskeyword(part):
                raise ValueError(
                    f"Incorrect route name {name!r}, python keywords cannot be used for route name"
                )
            if not part.isidentifier():
                raise ValueError(
                    f"Incorrect route name {name!r}, the name should be a sequence of "
                    "python identifiers separated by dash, dot or column"
                )
        if name in self._named_resources:
            raise ValueError(
                f"Duplicate {name!r}, already handled by {self._named_resources[name]!r}"
            )

    @staticmethod
    def _index_key(resource: AbstractResource) -> str:
        """The whole segments of a resource's path before its first variable."""
        fixed, brace, _ = resource.matched_path.partition("{")
        if brace:
            fixed = fixed.rpartition("/")[0]
        return fixed.rstrip("/") or "/"

    def index_resource(self, resource: AbstractResource) -> None:
        """Enter a resource into the index by its path."""
        self._resource_index.setdefault(self._index_key(resource), []).append(resource)

    def unindex_resource(self, resource: AbstractResource) -> None:
        """Take a resource out of the index, before its path changes."""
        self._resource_index[self._index_key(resource)].remove(resource)

    def add_resource(self, path: str, *, name: str | None = None) -> Resource:
        """The resource of `path`: the one added last if it has that path and name, else a new one.

        ValueError when `path` starts with no slash and is not empty, or has a bad pattern.
        """
        if path and not path.startswith("/"):
            raise ValueError("path should be started with / or be empty")
        if self._resources:
            last = self._resources[-1]
            if last.name == name and last.raw_match(path) and isinstance(last, Resource):
                return last
        resource = (DynamicResource if "{" in path or "}" in path else PlainResource)(
            path, name=name
        )
        self.register_resource(resource)
        return resource

    def add_route(
        self,
        method: str,
        path: str,
        handler: RouteHandler,
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
    ) -> ResourceRoute:
        """Register `handler` for requests of `method` ("*": any) for `path`."""
        resource = self.add_resource(path, name=name)
        return resource.add_route(method, handler, expect_handler=expect_handler)

    def add_static(
        self,
        prefix: str,
        path: PathLike,
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
        chunk_size: int = 256 * 1024,
        show_index: bool = False,
        follow_symlinks: bool = False,
        append_version: bool = False,
    ) -> StaticResource:
        """Serve the files of the folder `path` below `prefix`."""
        assert prefix.startswith("/")
        resource = StaticResource(
            prefix.removesuffix("/"),
            path,
            name=name,
            expect_handler=expect_handler,
            chunk_size=chunk_size,
            show_index=show_index,
            follow_symlinks=follow_symlinks,
            append_version=append_version,
        )
        self.register_resource(resource)
        return resource

    def add_head(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Register a handler for HEAD."""
        return self.add_route("HEAD", path, handler, **kwargs)

    def add_options(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Register a handler for OPTIONS."""
        return self.add_route("OPTIONS", path, handler, **kwargs)

    def add_get(
        self,
        path: str,
        handler: RouteHandler,
        *,
        name: str | None = None,
        allow_head: bool = True,
        **kwargs: Any,
    ) -> AbstractRoute:
        """Register a handler for GET and, unless `allow_head` is false, for HEAD."""
        resource = self.add_resource(path, name=name)
        if allow_head:
            resource.add_route("HEAD", handler, **kwargs)
        return resource.add_route("GET", handler, **kwargs)

    def add_post(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Register a handler for POST."""
        return self.add_route("POST", path, handler, **kwargs)

    def add_put(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Register a handler for PUT."""
        return self.add_route("PUT", path, handler, **kwargs)

    def add_patch(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Register a handler for PATCH."""
        return self.add_route("PATCH", path, handler, **kwargs)

    def add_delete(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Register a handler for DELETE."""
        return self.add_route("DELETE", path, handler, **kwargs)

    def add_view(self, path: str, handler: RouteHandler, **kwargs: Any) -> AbstractRoute:
        """Register a class-based view for all methods."""
        return self.add_route(METH_ANY, path, handler, **kwargs)

    def add_routes(self, routes: Iterable[AbstractRouteDef]) -> list[AbstractRoute]:
        """Register route definitions; returns the routes they became."""
        return [route for definition in routes for route in definition.register(self)]

    # -- reading ----------------------------------------------------------------------------------

    def resources(self) -> ResourcesView:
        """All resources, in their order."""
        return ResourcesView(self._resources)

    def routes(self) -> RoutesView:
        """All routes, in their order."""
        return RoutesView(self._resources)

    def named_resources(self) -> Mapping[str, AbstractResource]:
        """The resources that have a name, by it."""
        return MappingProxyType(self._named_resources)

    def __getitem__(self, name: str) -> AbstractResource:
        return self._named_resources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named_resources)

    def __len__(self) -> int:
        return len(self._named_resources)

    def __contains__(self, name: object) -> bool:
        return name in self._named_resources

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other
