"""The loggers of fastaio.web."""

import logging

__all__ = ("access_logger", "server_logger", "web_logger")

access_logger = logging.getLogger("fastaio.access")
server_logger = logging.getLogger("fastaio.server")
web_logger = logging.getLogger("fastaio.web")
