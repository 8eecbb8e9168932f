"""FileResponse: a file as the answer; conditions, ranges and sending are native."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _core
from .response import ContentCoding, StreamResponse

if TYPE_CHECKING:
    from .request import BaseRequest

__all__ = ("FileResponse",)


class FileResponse(_core.FileResponse, StreamResponse):
    """A regular file, by its path: 404 when there is none, 403 when it may not be read.

    Answers the conditions (If-Match and the others) and one range of the request, and sends the
    sibling that is named as the file with .br or .gz behind it to a client that accepts it.
    `chunk_size` is there for compatibility.
    """

    def _chosen_coding(self, request: BaseRequest) -> ContentCoding:
        if self.status != 200 or "Content-Encoding" in self.headers:
            return ContentCoding.identity
        return super()._chosen_coding(request)

    async def _prepare_slow(self, request: BaseRequest) -> StreamResponse:
        await super()._prepare_slow(request)
        if "write_eof" in vars(self):
            # Compressed on its way: all of the file goes through write() before its own
            # write_eof() flushes what the compressor kept.
            await _core.StreamResponse.write_eof(self)
        return self
