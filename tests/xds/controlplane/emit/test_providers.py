"""Which cluster reaches the service of an extension provider."""

from __future__ import annotations

import pytest

from proxyless.xds.controlplane.emit.providers import Backend, ProviderError, backend
from tests.xds.controlplane.support import istio, service, world

ENTRY = "{hosts: [collector.example.com], ports: [{number: 443, name: tls, protocol: TLS}], exportTo: ['.']}"
MADE = world(
    service("zipkin", "http:9411", namespace="obs")
    + istio("ServiceEntry", "one", ENTRY)
    + istio("ServiceEntry", "two", ENTRY, namespace="other")
)
ZIPKIN = Backend("zipkin.obs.svc.cluster.local", "outbound|9411||zipkin.obs.svc.cluster.local")


@pytest.mark.parametrize("written", ["zipkin.obs.svc.cluster.local", "obs/zipkin.obs.svc.cluster.local"])
def test_a_service_is_found_by_its_host(written: str) -> None:
    assert backend(written, 9411, MADE) == ZIPKIN


def test_a_host_of_several_namespaces_needs_one_named() -> None:
    found = backend("other/collector.example.com", 443, MADE)
    assert found == Backend("collector.example.com", "outbound|443||collector.example.com")
    with pytest.raises(ProviderError, match=r"in several namespaces \(other, shop\)"):
        backend("collector.example.com", 443, MADE)


@pytest.mark.parametrize(
    "written", ["", "zipkin", "shop/zipkin.obs.svc.cluster.local", "a/b/zipkin.obs.svc.cluster.local"]
)
def test_what_is_no_service_is_an_error(written: str) -> None:
    with pytest.raises(ProviderError, match=r"must not be empty|is no service"):
        backend(written, 9411, MADE)
