"""Whatever is written, emitting does not fail, and what comes out keeps Envoy's own rules."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.resources import Resources
from proxyless.xds.controlplane.emit.view import View
from proxyless.xds.controlplane.mesh import MeshConfig
from proxyless.xds.controlplane.objects import Object
from proxyless.xds.controlplane.registry.world import World
from proxyless.xds.controlplane.source.documents import Document
from proxyless.xds.controlplane.source.reading import read_document
from proxyless.xds.wire.schema import unpack, validate

from .everything import ENTRIES, KUBERNETES
from .generated import objects
from .support import objects as of_text
from .support import view

BASE = of_text(KUBERNETES + ENTRIES)
SETTINGS = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def valid(written: list[dict[str, Any]]) -> list[Object[object]]:
    """The objects that the reader does not refuse."""
    return [
        reading.object
        for each in written
        for reading in read_document("generated.yaml", Document(each, yaml.safe_dump(each), 1))
        if reading.object is not None
    ]


def everything_of(made: View) -> None:
    """Emits all that a client could ask for, and checks each message."""
    resources = Resources()
    clusters = dict(resources.make(rules.CLUSTER, made, ()))
    listeners = dict(resources.make(rules.LISTENER, made, ()))
    ports = {name.rpartition("_")[2] for name in listeners} - {"virtualInbound", "virtualOutbound"}
    ports |= {name.rpartition("_")[0] for name in listeners if name.startswith("unix://")}
    held = [*clusters.values(), *listeners.values()]
    held += [content for _, content in resources.make(rules.ENDPOINT, made, list(clusters))]
    held += [content for _, content in resources.make(rules.ROUTE, made, sorted(ports))]
    held += [content for _, content in resources.make(rules.NAMES, made, ())]
    for content in held:
        message = unpack(content)
        assert message is not None
        validate(message)


@SETTINGS
@given(st.lists(objects(), min_size=1, max_size=6), st.sampled_from(["web-0", "stranger"]))
def test_any_objects_give_resources_that_keep_envoys_rules(written: list[dict[str, Any]], pod: str) -> None:
    made = World([*BASE, *valid(written)], MeshConfig())
    ip = "10.1.0.1" if pod == "web-0" else "10.0.0.9"
    everything_of(view(made, pod=pod, ip=ip, labels={"app": "web"}, locality=("r1", "a", "")))
