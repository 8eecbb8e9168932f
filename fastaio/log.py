"""The loggers: asyncio's for what the loop has to say, as programs that configure it expect."""

import logging

logger = logging.getLogger("asyncio")
