"""Compressing bodies with zlib, in a thread where it would keep the loop waiting."""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import Executor
from typing import Any

__all__ = ("Compressor",)

# Bytes up to which compressing is quicker than handing the work to a thread.
SYNC_SIZE = 4096

_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Compressor:
    """One body on its way out.

    coding: "gzip" or "deflate". strategy: one of zlib's. sync_size: larger pieces, in bytes, are
    compressed by `executor` (None: the loop's).
    """

    def __init__(
        self,
        coding: str,
        strategy: int | None = None,
        sync_size: int = SYNC_SIZE,
        executor: Executor | None = None,
    ) -> None:
        self._zlib: Any = zlib.compressobj(
            wbits=_BITS[coding],
            strategy=zlib.Z_DEFAULT_STRATEGY if strategy is None else strategy,
        )
        self._sync_size = sync_size
        self._executor = executor

    async def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        """What came out for `data`; may be empty."""
        if len(data) <= self._sync_size:
            compressed: bytes = self._zlib.compress(data)
        else:
            loop = asyncio.get_running_loop()
            compressed = await loop.run_in_executor(self._executor, self._zlib.compress, data)
        return compressed

    def flush(self) -> bytes:
        """What was kept back; nothing can follow it."""
        flushed: bytes = self._zlib.flush()
        return flushed
