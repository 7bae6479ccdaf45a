"""ProxyConfig.proxyHeaders: which headers a proxy adds of its own, and what istiod has where nothing is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ...wire.schema.types import http_connection_manager_v3
from ..api.proxy_config import ProxyHeaders, SetCurrentClientCertDetails

Manager = http_connection_manager_v3.HttpConnectionManager

_NOTHING: Final = ProxyHeaders()
_NO_DETAILS: Final = SetCurrentClientCertDetails()
_SERVER = "istio-envoy"


@dataclass(frozen=True, slots=True)
class Headers:
    """What holds for a proxy."""

    said: ProxyHeaders = _NOTHING

    @property
    def attempts(self) -> bool:
        """x-envoy-attempt-count."""
        return not (self.said.attempt_count and self.said.attempt_count.disabled)

    @property
    def debug(self) -> bool:
        """x-envoy headers of the router."""
        return not (self.said.envoy_debug_headers and self.said.envoy_debug_headers.disabled)

    @property
    def forwarded_host(self) -> bool:
        return bool(self.said.x_forwarded_host and self.said.x_forwarded_host.enabled)

    @property
    def mesh_only(self) -> bool:
        """Whether peers are told who calls within the mesh only."""
        exchange = self.said.metadata_exchange_headers
        return exchange is not None and exchange.mode == "IN_MESH"

    def configure(self, made: Manager, *, server: bool) -> None:
        said = self.said
        if said.server is not None and said.server.disabled:
            made.server_header_transformation = Manager.PASS_THROUGH
        else:
            named = said.server.value if said.server is not None else ""
            made.server_name = named or (_SERVER if server else "")
        if said.request_id is not None and said.request_id.disabled:
            made.generate_request_id.value = False
        made.append_x_forwarded_port = bool(said.x_forwarded_port and said.x_forwarded_port.enabled)
        if server:
            self._certificates(made)

    def _certificates(self, made: Manager) -> None:
        """What the application hears of its caller's certificate."""
        wanted = self.said.forwarded_client_cert
        made.forward_client_cert_details = Manager.ForwardClientCertDetails.Value(
            "APPEND_FORWARD" if wanted == "UNDEFINED" else wanted
        )
        details = self.said.set_current_client_cert_details or _NO_DETAILS
        made.set_current_client_cert_details.subject.value = details.subject is not False
        made.set_current_client_cert_details.dns = details.dns is not False
        made.set_current_client_cert_details.uri = details.uri is not False
        made.set_current_client_cert_details.cert = bool(details.cert)
        made.set_current_client_cert_details.chain = bool(details.chain)


def headers_of(said: ProxyHeaders | None) -> Headers:
    return Headers(said or _NOTHING)
