"""The quick way from text to objects makes what the long way makes, or nothing."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from proxyless.xds.controlplane.objects import Object
from proxyless.xds.controlplane.source.block import BlockReader
from proxyless.xds.controlplane.source.documents import Document, parse_yaml, split
from proxyless.xds.controlplane.source.quick import QuickReader
from proxyless.xds.controlplane.source.reading import Reading, read_document
from tests.xds.controlplane.generated_meshes import any_objects

from ..everything import EVERYTHING
from ..support import RECORDED


def quick(text: str) -> list[Reading] | None:
    return QuickReader(BlockReader()).read("a.yaml", text, 7)


def long(text: str) -> list[Reading]:
    return read_document("a.yaml", Document(parse_yaml(text, 7, BlockReader()), text, 7))


def plain(readings: list[Reading] | None) -> object:
    """Readings as they compare: an object by what it says."""
    return readings and [
        (each.ref, each.faults, each.notes, each.base, said(each.object) if each.object else None) for each in readings
    ]


def said(item: Object[object]) -> tuple[object, ...]:
    return item.kind, item.version, item.group, repr(item.meta), repr(item.spec), item.place, repr(item.status)


@pytest.mark.parametrize("name", ["kubernetes", "istio"])
def test_a_mesh_of_a_thousand_services_is_read_quickly_and_as_ever(name: str) -> None:
    text = gzip.decompress((RECORDED / "scale" / f"{name}.yaml.gz").read_bytes()).decode()
    documents = [document for _, document in split(text)]
    reader = QuickReader(BlockReader())
    for document in documents[:: max(1, len(documents) // 700)]:
        found = reader.read("a.yaml", document, 7)
        assert found is not None, document
        assert plain(found) == plain(long(document))


@settings(deadline=None, max_examples=150)
@given(any_objects())
def test_any_object_is_read_as_the_long_way_reads_it(written: dict[str, Any]) -> None:
    text = yaml.safe_dump(written)
    found = quick(text)
    assert found is None or plain(found) == plain(long(text))


def test_every_kind_is_read_as_the_long_way_reads_it() -> None:
    documents = [document for _, document in split(EVERYTHING)]
    found = [(quick(document), document) for document in documents]
    assert sum(each is not None for each, _ in found) > len(found) // 4
    for each, document in found:
        assert each is None or plain(each) == plain(long(document))


VALID = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: a
  namespace: shop
spec:
  hosts:
  - a.shop.svc.cluster.local
  http:
  - route:
    - destination:
        host: a.shop.svc.cluster.local
      weight: 100
    timeout: 5s
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("timeout: 5s", "timeout: 5"),
        ("timeout: 5s", "timeout: soon"),
        ("timeout: 5s", "timeout: null"),
        ("timeout: 5s", "timeouts: 5s"),
        ("weight: 100", "weight: -1"),
        ("weight: 100", "weight: true"),
        ("host: a.shop.svc.cluster.local\n      w", "host: 7\n      w"),
        ("host: a.shop.svc.cluster.local\n      w", "host: ''\n      w"),
        ("host: a.shop.svc.cluster.local\n      w", "subset: v1\n      w"),
        ("- a.shop.svc.cluster.local", "- 7"),
        ("- a.shop.svc.cluster.local", "- a:"),
        ("namespace: shop", "namespace: 7"),
        ("name: a", "name: 7"),
        ("name: a\n", "generateName: a\n"),
        ("VirtualService", "VirtualServices"),
        ("VirtualService", "7"),
        ("v1\n", "v7\n"),
        ("networking.istio.io/v1", "apps/v1"),
        ("metadata:\n  name: a\n  namespace: shop\n", "metadata: a\n"),
        ("spec:", "spec: {}\nrest:"),
        ("  hosts:", "  exportTo:\n  - a_b\n  hosts:"),
        ("    timeout: 5s", "    redirect:\n      uri: /a\n    directResponse:\n      status: 200"),
        ("    timeout: 5s", "    retries:\n      perTryTimeout: 1s\n      per_try_timeout: 1s"),
    ],
)
def test_what_is_not_right_is_left_to_the_long_way(old: str, new: str) -> None:
    assert quick(VALID) is not None
    assert VALID.replace(old, new) != VALID
    found = quick(VALID.replace(old, new))
    assert found is None


def test_an_empty_field_is_not_set() -> None:
    text = VALID.replace("timeout: 5s", "timeout:")
    assert plain(quick(text)) == plain(long(text))
