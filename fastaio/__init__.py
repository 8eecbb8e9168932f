"""A fast asyncio event loop and HTTP engine in C.

The names here are the loop's. The web framework is ``fastaio.web``, the engine's own face
``fastaio.http``; neither is imported until asked for.
"""

from .loop import Loop
from .metrics import LoopMetrics
from .nested import allow_nested
from .policy import EventLoopPolicy, install, new_event_loop, run

__version__ = "0.1.0"

__all__ = [
    "EventLoopPolicy",
    "Loop",
    "LoopMetrics",
    "__version__",
    "allow_nested",
    "install",
    "new_event_loop",
    "run",
]
