"""The API of aiohttp.web on fastaio's native HTTP engine."""

from __future__ import annotations

import warnings as _warnings

from . import _needs
from .access_log import AbstractAccessLogger, AccessLogger
from .app import Application, CleanupError
from .dispatcher import UrlDispatcher
from .exceptions import *  # noqa: F403
from .exceptions import __all__ as _exceptions
from .fileresponse import FileResponse
from .keys import AppKey, NotAppKeyWarning, RequestKey, ResponseKey
from .middleware import middleware, normalize_path_middleware
from .multipart import BodyPartReader, MultipartReader
from .request import BaseRequest, FileField, Request
from .resources import (
    AbstractResource,
    DynamicResource,
    PlainResource,
    PrefixedSubAppResource,
    Resource,
)
from .response import (
    ContentCoding,
    Response,
    StreamResponse,
    json_bytes_response,
    json_response,
)
from .routedef import (
    AbstractRouteDef,
    RouteDef,
    RouteTableDef,
    StaticDef,
    delete,
    get,
    head,
    options,
    patch,
    post,
    put,
    route,
    static,
    view,
)
from .routes import AbstractRoute, ResourceRoute, UrlMappingMatchInfo
from .run import run_app
from .runner import AppRunner, BaseRunner, GracefulExit, ServerRunner
from .server import RequestHandler, Server
from .sites import BaseSite, SockSite, TCPSite, UnixSite
from .static import StaticResource
from .view import View

__all__ = [
    "AbstractAccessLogger",
    "AbstractResource",
    "AbstractRoute",
    "AbstractRouteDef",
    "AccessLogger",
    "AppKey",
    "AppRunner",
    "Application",
    "BaseRequest",
    "BaseRunner",
    "BaseSite",
    "BodyPartReader",
    "CleanupError",
    "ContentCoding",
    "DynamicResource",
    "FileField",
    "FileResponse",
    "GracefulExit",
    "MultipartReader",
    "PlainResource",
    "PrefixedSubAppResource",
    "Request",
    "RequestHandler",
    "RequestKey",
    "Resource",
    "ResourceRoute",
    "Response",
    "ResponseKey",
    "RouteDef",
    "RouteTableDef",
    "Server",
    "ServerRunner",
    "SockSite",
    "StaticDef",
    "StaticResource",
    "StreamResponse",
    "TCPSite",
    "UnixSite",
    "UrlDispatcher",
    "UrlMappingMatchInfo",
    "View",
    "delete",
    "get",
    "head",
    "json_bytes_response",
    "json_response",
    "middleware",
    "normalize_path_middleware",
    "options",
    "patch",
    "post",
    "put",
    "route",
    "run_app",
    "static",
    "view",
    *_exceptions,
]

del _needs

# Shown with -W default, -X dev and the like only.
_warnings.filterwarnings("ignore", category=NotAppKeyWarning, append=True)
