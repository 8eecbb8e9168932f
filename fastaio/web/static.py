"""StaticResource: the files of a folder below a prefix, and an index of it if wanted."""

from __future__ import annotations

import base64
import hashlib
import html
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yarl import URL

from .. import _core
from .exceptions import HTTPForbidden, HTTPNotFound
from .fileresponse import FileResponse
from .resources import PrefixResource, Resolved, quote_path, unquote_path_safe
from .response import Response
from .routes import AbstractRoute, ResourceRoute, UrlMappingMatchInfo

if TYPE_CHECKING:
    from .request import Request
    from .response import StreamResponse
    from .typedefs import ExpectHandler, PathLike, RouteHandler

__all__ = ("StaticResource",)


class StaticResource(PrefixResource):
    """Serves the regular files of a folder. No path leads out of it.

    Symbolic links are followed only with `follow_symlinks`, and then wherever they lead.
    ValueError when `directory` is no folder.
    """

    VERSION_KEY = "v"

    def __init__(
        self,
        prefix: str,
        directory: PathLike,
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
        chunk_size: int = 256 * 1024,
        show_index: bool = False,
        follow_symlinks: bool = False,
        append_version: bool = False,
    ) -> None:
        super().__init__(prefix, name=name)
        try:
            directory = Path(directory).expanduser().resolve(strict=True)
        except FileNotFoundError as error:
            raise ValueError(f"'{directory}' does not exist") from error
        if not directory.is_dir():
            raise ValueError(f"'{directory}' is not a directory")
        self._directory = directory
        self._show_index = show_index
        self._chunk_size = chunk_size
        self._follow_symlinks = follow_symlinks
        self._expect_handler = expect_handler
        self._append_version = append_version
        handler: Any = self._handle
        if len(directory.parts) > 1:  # not the root of all files
            handler = _core.Folder(directory, handler, FileResponse, follow_symlinks)
        self._routes = {
            method: ResourceRoute(method, handler, self, expect_handler=expect_handler)
            for method in ("GET", "HEAD")
        }

    def set_options_route(self, handler: RouteHandler) -> None:
        """Register a handler of OPTIONS. RuntimeError when there is one."""
        if "OPTIONS" in self._routes:
            raise RuntimeError("OPTIONS route was set already")
        self._routes["OPTIONS"] = ResourceRoute(
            "OPTIONS", handler, self, expect_handler=self._expect_handler
        )

    def get_info(self) -> dict[str, Any]:
        """The folder as "directory" (a Path), the "prefix", and "routes" by method."""
        return {"directory": self._directory, "prefix": self._prefix, "routes": self._routes}

    # -- URLs -------------------------------------------------------------------------------------

    def url_for(self, *, filename: PathLike, append_version: bool | None = None) -> URL:
        """The URL of a file; with its hash as the query ``v`` when `append_version` is true."""
        filename = str(filename).lstrip("/")
        url = URL.build(path=self._prefix, encoded=True) / filename
        if append_version is None:
            append_version = self._append_version
        if append_version:
            path = self._inside(filename)
            if path is not None and path.is_file():
                return url.with_query({self.VERSION_KEY: self._file_hash(path)})
        return url

    @staticmethod
    def _file_hash(path: Path) -> str:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        return base64.urlsafe_b64encode(digest).decode("ascii")

    # -- requests ---------------------------------------------------------------------------------

    async def resolve(self, request: Request) -> Resolved:
        """The match of `request`, with the file's path below the prefix as "filename", or None;
        the methods that the prefix does have.
        """
        path = request.rel_url.path_safe
        # Normalized, so that "/static/../x" is not below "/static".
        normal = os.path.normpath(path)
        prefix = self.matched_path
        if normal != prefix and not normal.startswith(prefix + "/"):
            return None, set()
        route = self._routes.get(request.method)
        if route is None:
            return None, set(self._routes)
        filename = unquote_path_safe(path[len(prefix) + 1 :])
        return UrlMappingMatchInfo({"filename": filename}, route), set(self._routes)

    def _inside(self, filename: str) -> Path | None:
        """The real path of a file below the folder; None when it leads out of it."""
        path = self._directory.joinpath(filename)
        try:
            if self._follow_symlinks:
                path = Path(os.path.normpath(path))
                path.relative_to(self._directory)
                return path.resolve()
            path = path.resolve()
            path.relative_to(self._directory)
        except (OSError, RuntimeError, ValueError):
            # ValueError: outside, or a NUL; RuntimeError, OSError: links in a circle.
            return None
        return path

    async def _handle(self, request: Request) -> StreamResponse:
        """Answer for what is no plain file at a plain path: the rest is _core.Folder's."""
        filename = request.match_info["filename"]
        if os.path.isabs(filename):
            raise HTTPNotFound()
        path = self._inside(filename)
        if path is None:
            raise HTTPNotFound()
        try:
            if path.is_dir():
                if not self._show_index:
                    raise HTTPForbidden()
                return Response(text=self._index(path), content_type="text/html")
        except PermissionError as error:
            raise HTTPForbidden() from error
        except OSError as error:  # a name too long, for one
            raise HTTPNotFound() from error
        return FileResponse(path, chunk_size=self._chunk_size)

    def _index(self, folder: Path) -> str:
        """A page with links to what is in `folder`."""
        title = f"Index of /{html.escape(folder.relative_to(self._directory).as_posix())}"
        items = []
        for entry in sorted(folder.iterdir()):
            path = entry.relative_to(self._directory).as_posix()
            url = quote_path(f"{self._prefix}/{path}")
            name = html.escape(f"{entry.name}/" if entry.is_dir() else entry.name)
            items.append(f'<li><a href="{url}">{name}</a></li>')
        listing = "<ul>\n{}\n</ul>".format("\n".join(items))
        return (
            f"<html>\n<head>\n<title>{title}</title>\n</head>\n"
            f"<body>\n<h1>{title}</h1>\n{listing}\n</body>\n</html>"
        )

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._routes.values())

    def __repr__(self) -> str:
        return f"<StaticResource {self._shown_name()} {self._prefix} -> {self._directory!r}>"
