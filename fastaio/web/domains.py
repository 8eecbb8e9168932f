"""Rules that choose a sub-application by the request's Host field."""

from __future__ import annotations

import fnmatch
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from yarl import URL

if TYPE_CHECKING:
    from .request import Request

__all__ = ("AbstractRuleMatching", "Domain", "MaskDomain")


class AbstractRuleMatching(ABC):
    """Says whether a request belongs to a sub-application."""

    @abstractmethod
    async def match(self, request: Request) -> bool:
        """Whether the request belongs to it."""

    @abstractmethod
    def get_info(self) -> dict[str, Any]:
        """What is known of the rule, for introspection."""

    @property
    @abstractmethod
    def canonical(self) -> str:
        """The rule as a str."""


class Domain(AbstractRuleMatching):
    """A host name, with a port when only that port is meant."""

    _label = re.compile(r"(?!-)[a-z\d-]{1,63}(?<!-)")

    def __init__(self, domain: str) -> None:
        self._domain = self.validation(domain)

    @property
    def canonical(self) -> str:
        """The domain in its normal form."""
        return self._domain

    def validation(self, domain: str) -> str:
        """`domain` in its normal form. TypeError, ValueError: it is no host name."""
        if not isinstance(domain, str):
            raise TypeError("Domain must be str")
        domain = domain.rstrip(".").lower()
        if not domain:
            raise ValueError("Domain cannot be empty")
        if "://" in domain:
            raise ValueError("Scheme not supported")
        url = URL("http://" + domain)
        host = url.raw_host
        if host is None or not all(self._label.fullmatch(part) for part in host.split(".")):
            raise ValueError("Domain not valid")
        return host if url.port == 80 else f"{host}:{url.port}"

    async def match(self, request: Request) -> bool:
        """Whether the request's Host field means the domain; False without one."""
        host = request.headers.get("Host")
        return bool(host) and self.match_domain(str(host))

    def match_domain(self, host: str) -> bool:
        """Whether a Host field of this value means the domain."""
        host = host.lower()
        return self._domain in (host, host.partition(":")[0])

    def get_info(self) -> dict[str, Any]:
        """The domain, as "domain"."""
        return {"domain": self._domain}


class MaskDomain(Domain):
    """A host name in which "*" stands for any run of characters."""

    _label = re.compile(r"(?!-)[a-z\d\*-]{1,63}(?<!-)")

    def __init__(self, domain: str) -> None:
        super().__init__(domain)
        host, _, self._port = self._domain.partition(":")
        self._mask = re.compile(fnmatch.translate(host), re.IGNORECASE)

    @property
    def canonical(self) -> str:
        """The mask as a regular expression."""
        return self._domain.replace(".", r"\.").replace("*", "[^:]*") + "(:.*)?"

    def match_domain(self, host: str) -> bool:
        """Whether the mask and, if it has one, its port fit a Host field of this value."""
        name, _, port = host.partition(":")
        if self._port and port != self._port:
            return False
        return self._mask.match(name) is not None
