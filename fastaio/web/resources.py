"""Resources: the paths that an application knows, and the sub-applications below one."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Any

from yarl import URL

from .exceptions import HTTPMethodNotAllowed
from .routes import METH_ANY, AbstractRoute, ResourceRoute, UrlMappingMatchInfo

if TYPE_CHECKING:
    from .app import Application
    from .domains import AbstractRuleMatching
    from .request import Request
    from .typedefs import ExpectHandler, RouteHandler

__all__ = (
    "AbstractResource",
    "DynamicResource",
    "MatchedSubAppResource",
    "PlainResource",
    "PrefixResource",
    "PrefixedSubAppResource",
    "Resource",
)

Resolved = tuple[UrlMappingMatchInfo | None, set[str]]

# "{name}" and "{name:regular expression}", whose expression may hold braces one level deep.
VARIABLE = re.compile(r"(\{[_a-zA-Z][^{}]*(?:\{[^{}]*\}[^{}]*)*\})")
_NAMED = re.compile(r"\{(?P<name>[_a-zA-Z][_a-zA-Z0-9]*)(?::(?P<pattern>.+))?\}")
_SEGMENT = r"[^{}/]+"


def quote_path(value: str) -> str:
    """`value` percent-encoded as a path."""
    return URL.build(path=value, encoded=False).raw_path


def requote_path(value: str) -> str:
    """`value` percent-encoded as a path, escapes in it kept."""
    quoted = quote_path(value)
    return quoted.replace("%25", "%") if "%" in value else quoted


def decoded_path(value: str) -> str:
    """A percent-encoded path as requests are compared with it: URL.path_safe."""
    return URL.build(path=value, encoded=True).path_safe


def unquote_path_safe(value: str) -> str:
    """Decodes what URL.path_safe leaves encoded."""
    return value.replace("%2F", "/").replace("%25", "%") if "%" in value else value


class AbstractResource(Sized, Iterable[AbstractRoute]):
    """A set of paths and the routes that they have."""

    def __init__(self, *, name: str | None = None) -> None:
        self._name = name

    @property
    def name(self) -> str | None:
        """The name it is found by in the router, if any."""
        return self._name

    @property
    @abstractmethod
    def canonical(self) -> str:
        """The path with its variables in braces."""

    @property
    def matched_path(self) -> str:
        """The path as requests are compared with it, decoded, with its variables in braces."""
        return self.canonical

    @abstractmethod
    def url_for(self, *args: Any, **kwargs: Any) -> URL:
        """The URL with these values of the path's variables."""

    @abstractmethod
    async def resolve(self, request: Request) -> Resolved:
        """The match of `request` or None, and the methods that the path does have."""

    @abstractmethod
    def add_prefix(self, prefix: str) -> None:
        """Put `prefix` before the path, for an application that becomes part of another."""

    @abstractmethod
    def get_info(self) -> dict[str, Any]:
        """What is known of the path, for introspection."""

    def freeze(self) -> None:  # noqa: B027 - optional for a resource
        """The router is complete."""

    @abstractmethod
    def raw_match(self, path: str) -> bool:
        """Whether `path` is the one the resource was made with."""

    def _shown_name(self) -> str:
        return "" if self._name is None else f"'{self._name}' "


class Resource(AbstractResource):
    """A resource whose routes are registered one by one."""

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._routes: dict[str, ResourceRoute] = {}
        self._allowed_methods: set[str] = set()

    @property
    def _any_route(self) -> ResourceRoute | None:
        return self._routes.get(METH_ANY)

    def add_route(
        self,
        method: str,
        handler: RouteHandler,
        *,
        expect_handler: ExpectHandler | None = None,
    ) -> ResourceRoute:
        """Register `handler` for `method`. RuntimeError when that method is handled already."""
        taken = self._routes.get(method, self._any_route)
        if taken is not None:
            raise RuntimeError(
                f"Added route will never be executed, method {taken.method} is already registered"
            )
        route = ResourceRoute(method, handler, self, expect_handler=expect_handler)
        self.register_route(route)
        return route

    def register_route(self, route: ResourceRoute) -> None:
        """Register a route that exists."""
        assert isinstance(route, ResourceRoute), (
            f"Instance of Route class is required, got {route!r}"
        )
        self._allowed_methods.add(route.method)
        self._routes[route.method] = route

    async def resolve(self, request: Request) -> Resolved:
        """The match of `request` by path and method or None, and the methods that the path does
        have.
        """
        values = self._match(request.rel_url.path_safe)
        if values is None:
            return None, set()
        route = self._routes.get(request.method, self._any_route)
        if route is None:
            return None, self._allowed_methods
        return UrlMappingMatchInfo(values, route), self._allowed_methods

    @abstractmethod
    def _match(self, path: str) -> dict[str, str] | None:
        """The variables' values in `path`, or None when it is another path."""

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._routes.values())


class PlainResource(Resource):
    """One path."""

    def __init__(self, path: str, *, name: str | None = None) -> None:
        super().__init__(name=name)
        assert not path or path.startswith("/")
        self._path = path

    @property
    def canonical(self) -> str:
        """The path."""
        return self._path

    def freeze(self) -> None:
        """The router is complete: an empty path becomes "/"."""
        self._path = self._path or "/"

    def add_prefix(self, prefix: str) -> None:
        """Put `prefix` before the path. AssertionError for one that is "/" or ends in it."""
        _check_prefix(prefix)
        self._path = prefix + self._path

    def _match(self, path: str) -> dict[str, str] | None:
        return {} if self._path == path else None

    def raw_match(self, path: str) -> bool:
        """Whether `path` is this one."""
        return self._path == path

    def get_info(self) -> dict[str, Any]:
        """The path, as "path"."""
        return {"path": self._path}

    def url_for(self) -> URL:
        """The path as a URL. TypeError for any argument."""
        return URL.build(path=self._path, encoded=True)

    def __repr__(self) -> str:
        return f"<PlainResource {self._shown_name()} {self._path}>"


class DynamicResource(Resource):
    """A path with variables: ``{name}`` is one segment, ``{name:regex}`` what the regex matches."""

    def __init__(self, path: str, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._orig_path = path
        pattern = formatter = matched = ""
        for part in VARIABLE.split(path):
            variable = _NAMED.fullmatch(part)
            if variable is not None:
                found = variable["name"]
                pattern += f"(?P<{found}>{variable['pattern'] or _SEGMENT})"
                formatter += f"{{{found}}}"
                matched += part
            elif "{" in part or "}" in part:
                raise ValueError(f"Invalid path '{path}'['{part}']")
            else:
                fixed = requote_path(part)
                formatter += fixed
                fixed = decoded_path(fixed)
                pattern += re.escape(fixed)
                matched += fixed
        try:
            self._pattern = re.compile(pattern)
        except re.error as exc:
            raise ValueError(f"Bad pattern '{pattern}': {exc}") from None
        assert formatter.startswith("/")
        self._formatter = formatter
        self._matched_path = matched

    @property
    def canonical(self) -> str:
        """The path with its variables as ``{name}``, percent-encoded, without their expressions."""
        return self._formatter

    @property
    def matched_path(self) -> str:
        """The path as requests are compared with it, decoded, with its variables as they were
        given.
        """
        return self._matched_path

    def add_prefix(self, prefix: str) -> None:
        """Put `prefix` before the path. AssertionError for one that is "/" or ends in it."""
        _check_prefix(prefix)
        self._formatter = prefix + self._formatter
        prefix = decoded_path(requote_path(prefix))
        self._pattern = re.compile(re.escape(prefix) + self._pattern.pattern)
        self._matched_path = prefix + self._matched_path

    def _match(self, path: str) -> dict[str, str] | None:
        match = self._pattern.fullmatch(path)
        if match is None:
            return None
        return {key: unquote_path_safe(value) for key, value in match.groupdict().items()}

    def raw_match(self, path: str) -> bool:
        """Whether `path` is the one the resource was made with, expressions included."""
        return self._orig_path == path

    def get_info(self) -> dict[str, Any]:
        """The path with its variables as "formatter", what it matches as "pattern" (an
        re.Pattern).
        """
        return {"formatter": self._formatter, "pattern": self._pattern}

    def url_for(self, **parts: str) -> URL:
        """The URL with these values, percent-encoded. KeyError for a variable without one."""
        path = self._formatter.format_map({k: quote_path(v) for k, v in parts.items()})
        return URL.build(path=path, encoded=True)

    def __repr__(self) -> str:
        return f"<DynamicResource {self._shown_name()} {self._formatter}>"


class PrefixResource(AbstractResource):
    """All paths below a prefix."""

    def __init__(self, prefix: str, *, name: str | None = None) -> None:
        assert not prefix or prefix.startswith("/"), prefix
        assert prefix in ("", "/") or not prefix.endswith("/"), prefix
        super().__init__(name=name)
        self._prefix = requote_path(prefix)

    @property
    def canonical(self) -> str:
        """The prefix, percent-encoded."""
        return self._prefix

    @property
    def matched_path(self) -> str:
        """The prefix as requests are compared with it, decoded."""
        return decoded_path(self._prefix) if self._prefix else ""

    def add_prefix(self, prefix: str) -> None:
        """Put `prefix` before its own. AssertionError for one that is "/" or ends in it."""
        _check_prefix(prefix)
        self._prefix = prefix + self._prefix

    def raw_match(self, path: str) -> bool:
        """False: it is not one path."""
        return False


class PrefixedSubAppResource(PrefixResource):
    """An application below a prefix of another."""

    def __init__(self, prefix: str, app: Application) -> None:
        super().__init__(prefix)
        self._app = app
        self._prefix_resources(prefix)

    def add_prefix(self, prefix: str) -> None:
        """Put `prefix` before its own and before the application's paths."""
        super().add_prefix(prefix)
        self._prefix_resources(prefix)

    def _prefix_resources(self, prefix: str) -> None:
        router = self._app.router
        for resource in router.resources():
            # The index goes by the path, which changes.
            router.unindex_resource(resource)
            resource.add_prefix(prefix)
            router.index_resource(resource)

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """RuntimeError: URLs are the application's resources'."""
        raise RuntimeError(".url_for() is not supported by sub-application root")

    def get_info(self) -> dict[str, Any]:
        """The application as "app", its prefix as "prefix"."""
        return {"app": self._app, "prefix": self._prefix}

    async def resolve(self, request: Request) -> Resolved:
        """The application's match, which may be an error's, and the methods that its path has."""
        match_info = await self._app.router.resolve(request)
        match_info.add_app(self._app)
        exception = match_info.http_exception
        if isinstance(exception, HTTPMethodNotAllowed):
            return match_info, exception.allowed_methods
        return match_info, set()

    def __len__(self) -> int:
        return len(self._app.router.routes())

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._app.router.routes())

    def __repr__(self) -> str:
        return f"<PrefixedSubAppResource {self._prefix} -> {self._app!r}>"


class MatchedSubAppResource(PrefixedSubAppResource):
    """An application for the requests that a rule lets through, such as those of a domain."""

    def __init__(self, rule: AbstractRuleMatching, app: Application) -> None:
        AbstractResource.__init__(self)
        self._prefix = ""
        self._app = app
        self._rule = rule

    @property
    def canonical(self) -> str:
        """The rule as a str."""
        return self._rule.canonical

    def get_info(self) -> dict[str, Any]:
        """The application as "app", its rule as "rule"."""
        return {"app": self._app, "rule": self._rule}

    async def resolve(self, request: Request) -> Resolved:
        """The application's match if the rule lets the request through, else None."""
        if not await self._rule.match(request):
            return None, set()
        return await super().resolve(request)

    def __repr__(self) -> str:
        return f"<MatchedSubAppResource -> {self._app!r}>"


def _check_prefix(prefix: str) -> None:
    assert prefix.startswith("/")
    assert not prefix.endswith("/")
    assert len(prefix) > 1
