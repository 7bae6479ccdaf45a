"""The requests suite: an adapter whose pools are those of the urllib3 suite.

It is requests' own adapter with other pools below, so whatever hooks into `HTTPAdapter.send` or `Session.send`
(responses, OpenTelemetry) works as before, and redirects, cookies and proxies are requests' own.
"""

from __future__ import annotations

from typing import Any, ClassVar

from requests.adapters import HTTPAdapter

from ..runtime import Runtime
from ._underway import ErrorMode
from .urllib3 import govern


class GovernedAdapter(HTTPAdapter):
    """`runtime_of` finds the runtime of a mesh, or of the process."""

    runtime_of: ClassVar[Any]
    policies_of: ClassVar[Any]

    def __init__(self, mesh: Any = None, *, errors: ErrorMode = "response", policies: Any = (), **options: Any) -> None:
        self._runtime: Runtime | None = self.runtime_of(mesh)
        self._policies = self.policies_of(self._runtime, policies, "proxyless.requests.Adapter", blocking=True)
        self._errors: ErrorMode = errors
        super().__init__(**options)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy from another process is governed by the mesh of this one."""
        self._runtime = self.runtime_of(None)
        self._policies = None
        self._errors = "response"
        super().__setstate__(state)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """As requests makes it, with governed pools."""
        super().init_poolmanager(*arguments, **options)
        govern(self.poolmanager, self._runtime, self._errors, self._policies)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """The environment's proxies serve what the mesh does not govern."""
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if not known:
            govern(manager, self._runtime, self._errors, self._policies)
        return manager
