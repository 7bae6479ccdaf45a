"""What a tree of matchers may look at: the tenant of a request, by a header, else by the first label of its host."""

from __future__ import annotations

from collections.abc import Mapping

from proxyless.extensions import Config


class Tenant:
    """`header`: which one names the tenant (x-tenant)."""

    def __init__(self, config: Config) -> None:
        self.header = config.fields.get("header", "x-tenant")

    def get(self, headers: Mapping[str, str]) -> str | None:
        """The tenant; None for a host without one."""
        found = headers.get(self.header)
        return found or headers[":authority"].partition(".")[0] or None
