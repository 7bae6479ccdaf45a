"""A stream that nobody drives but its caller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.controlplane import FolderSource, InlineLink, Plane
from proxyless.xds.wire.schema.types import discovery_v3

LISTENERS = "type.googleapis.com/envoy.config.listener.v3.Listener"


@pytest.mark.parametrize("delta", [False, True])
def test_a_client_that_cannot_be_served_is_told_why_and_hears_no_more(tmp_path: Path, delta: bool) -> None:
    link = InlineLink(Plane(FolderSource(tmp_path)))
    told: list[bytes] = []
    ended: list[Any] = []
    stream = link.open(delta=delta, on_bytes=told.append, on_end=ended.append)
    kind = discovery_v3.DeltaDiscoveryRequest if delta else discovery_v3.DiscoveryRequest
    nameless = kind(type_url=LISTENERS).SerializeToString()
    stream.send(nameless)
    stream.send(nameless)
    link.push()
    assert [each.reason for each in ended] == [
        "missing node information: the first request of a stream must carry a node id"
    ]
    assert not told
    link.close()
