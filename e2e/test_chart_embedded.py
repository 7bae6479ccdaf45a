"""The shop and its control plane as one release in a namespace; this needs a cluster of the tests' own.

It runs before the cluster has another control plane, which would write its root into this namespace too.
"""

from __future__ import annotations

import re

import pytest

from .conftest import DEPLOYMENTS
from .own import NAME, OwnCluster
from .world import CHARTS, World

pytestmark = pytest.mark.timeout(4000)
VALUES = ("controlPlane=embedded", "proxyless-controller.enabled=true", "proxyless-controller.replicas=1")


def test_the_shop_brings_its_control_plane_and_helm_tests_it(own: OwnCluster) -> None:
    embedded = World(own, "embedded")
    own.namespace(embedded.namespace)
    try:
        options = [option for value in (*VALUES, "load.seconds=5") for option in ("--set", value)]
        embedded.helm("install", "shop", CHARTS / "proxyless-shop", *options)
        embedded.rolled_out(NAME, *DEPLOYMENTS)
        job = embedded.path("jobs", "load-1", "/apis/batch/v1")
        embedded.until(lambda: own.api.get(job)["status"].get("succeeded"), lambda: own.api.get(job)["status"])
        said = embedded.helm("test", "shop", "--timeout", "5m")
        assert len(re.findall(r"Phase: +Succeeded", said)) == 3, said  # canary, breaker and rate limit
        (front,) = embedded.names("storefront")
        control = embedded.status(front)["control_plane"]
        assert control["address"].startswith(f"{NAME}.{embedded.namespace}.svc")
        assert f'"ID": "{NAME}-' in control["identifier"]
        embedded.helm("uninstall", "shop")
    finally:
        own.api.delete(f"/api/v1/namespaces/{embedded.namespace}")
    embedded.until(lambda: own.api.find(f"/api/v1/namespaces/{embedded.namespace}") is None, "it does not end")
