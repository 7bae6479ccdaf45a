"""The requests suite: an adapter whose pools are those of the urllib3 suite.

It is requests' own adapter with other pools below, so whatever hooks into `HTTPAdapter.send` or `Session.send`
(responses, OpenTelemetry) works as before, and redirects, cookies and proxies are requests' own.
"""

from __future__ import annotations

from typing import Any, ClassVar

from requests.adapters import HTTPAdapter

from ..runtime import Runtime
from ._underway import ErrorMode
from ._urllib3_response import Response
from .urllib3 import govern

MOST_KEYS = 1024
"""Hosts whose pools' keys are remembered."""

_KEY_OF = "build_connection_pool_key_attributes"
"""What a subclass may have its own of, since requests 2.32.3."""
_KNOWN_KEY_OF = getattr(HTTPAdapter, _KEY_OF, None)


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
        self._keys: dict[str, Any] = {}

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        """The pool of a host, whose key is made once: a governed call is short enough for that to count."""
        url = request.url
        if (
            verify is not True
            or proxies
            or cert is not None
            or url[:7] != "http://"
            or getattr(type(self), _KEY_OF, None) is not _KNOWN_KEY_OF
        ):
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        pools: Any = self.poolmanager.pools
        authority = url[7:].partition("/")[0]
        pool = pools.get(self._keys.get(authority))
        if pool is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            key = next((each for each in pools.keys() if pools.get(each) is pool), None)  # noqa: SIM118 - not iterable
            if len(self._keys) >= MOST_KEYS:
                self._keys.clear()
            self._keys[authority] = key
        return pool

    def build_response(self, req: Any, resp: Any) -> Any:
        """As requests makes it; a response that sets no cookie is not looked through for some."""
        if not isinstance(resp, Response) or "set-cookie" in resp.headers or "set-cookie2" in resp.headers:
            return super().build_response(req, resp)
        original, resp._original_response = resp._original_response, None
        try:
            return super().build_response(req, resp)
        finally:
            resp._original_response = original

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """The environment's proxies serve what the mesh does not govern."""
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if not known:
            govern(manager, self._runtime, self._errors, self._policies)
        return manager
