"""Random meshes: objects of every kind that the control plane reads, and the nodes that ask for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import hypothesis.strategies
import yaml

from proxyless.xds.controlplane.kinds import ENDPOINTS, KINDS, Kind
from proxyless.xds.controlplane.objects import Object
from proxyless.xds.controlplane.source.documents import Document
from proxyless.xds.controlplane.source.reading import Reading, read_document

from . import drawing as st
from .generated import message
from .generated_patches import envoy_filters

Json = dict[str, Any]
_NAMES = {
    "ConfigMap": st.just("istio"),
    "Node": st.sampled_from(["n1", "n2"]),
    "Pod": st.sampled_from(["web-0", "one"]),
    "Namespace": st.sampled_from(["shop", "other"]),
    "Service": st.sampled_from(["web", "one", "peers"]),
}
_SPACES = {"ConfigMap": st.just("istio-system")}
_LABELS = {
    "app": "web",
    "version": "v1",
    "istio.io/rev": "default",
    "kubernetes.io/service-name": "web",
    "topology.kubernetes.io/region": "r1",
    "topology.istio.io/network": "n1",
    "security.istio.io/tlsMode": "istio",
}
_ANNOTATIONS = {
    "networking.istio.io/exportTo": ".",
    "networking.istio.io/traffic-distribution": "PreferClose",
    "istio.io/dry-run": "true",
    "proxy.istio.io/config": "concurrency: 2",
    ENDPOINTS: "127.0.0.1:8081, http=127.0.0.1:8082",
}


def _some(of: dict[str, str]) -> st.Draw[dict[str, str]]:
    return st.subsets(sorted(of), max_size=2).map(lambda keys: {key: of[key] for key in keys})


def objects(kinds: tuple[str, ...] = tuple(KINDS)) -> st.Draw[Json]:
    """One object of any of these kinds, as JSON."""
    return st.sampled_from(kinds).flatmap(object_of)


def any_objects() -> hypothesis.strategies.SearchStrategy[Json]:
    """The same for hypothesis, which shrinks them."""
    return hypothesis.strategies.randoms(use_true_random=False).map(objects().draw)


def object_of(name: str) -> st.Draw[Json]:
    kind = KINDS[name]
    spaces = {"namespace": _SPACES.get(name, st.sampled_from(["shop", "other", "istio-system"]))}
    metadata = st.fixed_dictionaries(
        {"name": _NAMES.get(name, st.sampled_from(["one", "two", "three"])), **(spaces if kind.namespaced else {})},
        optional={"labels": _some(_LABELS), "annotations": _some(_ANNOTATIONS)},
    )
    head = st.fixed_dictionaries(
        {"apiVersion": st.sampled_from(_versions(kind)), "kind": st.just(name), "metadata": metadata}
    )
    content = envoy_filters() if name == "EnvoyFilter" else message(kind.message)
    status = message(kind.status) if kind.status is not None else st.just({})
    return st.tuples(head, content, status).map(lambda parts: _whole(kind, *parts))


def _versions(kind: Kind) -> list[str]:
    return [f"{kind.group}/{version}" if kind.group else version for version in kind.versions]


def _whole(kind: Kind, head: Json, content: Json, status: Json) -> Json:
    if kind.spec:
        content = {"spec": content}
    made = {**content, **head, **({"status": status} if status else {})}
    made["metadata"] = {**content.get("metadata", {}), **head["metadata"]}
    if head["kind"] == "Gateway":  # others are none of ours
        made["metadata"]["labels"] = {"topology.istio.io/network": "n1"}
    if head["kind"] == "Deployment":
        made["metadata"]["annotations"] = {ENDPOINTS: _ANNOTATIONS[ENDPOINTS]}
    return made


@dataclass(frozen=True)
class Caller:
    """A node: arguments of `support.view`."""

    pod: str
    ip: str
    metadata: dict[str, str]


def callers() -> st.Draw[Caller]:
    extra = st.fixed_dictionaries(
        {},
        optional={
            "INTERCEPTION_MODE": st.sampled_from(["REDIRECT", "TPROXY", "NONE"]),
            "HTTP10": st.just("1"),
            "INBOUND_LISTENER_EXACT_BALANCE": st.just("true"),
            "OUTBOUND_LISTENER_EXACT_BALANCE": st.just("true"),
            "DNS_CAPTURE": st.just("true"),
            "IDLE_TIMEOUT": st.just("9s"),
            "ISTIO_VERSION": st.sampled_from(["1.28.0", "1.30.1"]),
            "NETWORK": st.just("n1"),
            "UNPRIVILEGED_POD": st.just("true"),
        },
    )
    addresses = {"web-0": ["10.1.0.1"], "stranger": ["10.0.0.9", "10.0.0.9,fd00::9", "fd00::9"]}
    return st.sampled_from(sorted(addresses)).flatmap(
        lambda pod: st.tuples(st.just(pod), st.sampled_from(addresses[pod]), extra).map(lambda said: Caller(*said))
    )


Mesh = tuple[list[Json], Caller]
_STEP = re.compile(r'\["([^"]*)"\]|\[(\d+)\]|([^.\[\]]+)')


def meshes(most: int = 8) -> st.Draw[Mesh]:
    """What stands beside the base, and who asks."""
    return st.tuples(st.lists(objects().map(repaired), min_size=1, max_size=most), callers())


def repaired(written: Json) -> Json:
    """The object without what the reader refuses of it, as far as that helps."""
    for _ in range(12):
        faults = [fault for reading in _readings(written) for fault in reading.faults]
        if not faults or not any(_cut(written, fault.field) for fault in faults):
            break
    return written


def _cut(written: Any, field: str) -> bool:
    """Takes away what a fault names, or what holds it where it is not there."""
    keys: list[str | int] = [int(i) if i else quoted or name for quoted, i, name in _STEP.findall(field)]
    if len(keys) < 2:
        return False
    holders: list[Any] = [written]
    for key in keys[:-1]:
        if not _holds(holders[-1], key):
            break
        holders.append(holders[-1][key])
    if _holds(holders[-1], keys[len(holders) - 1]):
        del holders[-1][keys[len(holders) - 1]]
    elif len(holders) > 2:
        del holders[-2][keys[len(holders) - 2]]
    else:
        return False
    return True


def _holds(value: Any, key: str | int) -> bool:
    if isinstance(value, dict):
        return key in value
    return isinstance(value, list) and isinstance(key, int) and key < len(value)


def _readings(written: Json) -> list[Reading]:
    return list(read_document("generated.yaml", Document(written, yaml.safe_dump(written), 1)))


def valid(written: list[Json]) -> list[Object[object]]:
    """The objects that the reader does not refuse."""
    return [r.object for each in written for r in _readings(each) if r.object is not None and not r.faults]


def set_fields(made: object) -> Iterator[tuple[str, str]]:
    """(message, field) of all that a typed object says other than the default."""
    if is_dataclass(made) and not isinstance(made, type):
        plain = type(made)()
        for each in fields(made):
            value = getattr(made, each.name)
            if value != getattr(plain, each.name):
                yield type(made).__name__, each.name
                yield from set_fields(value)
    elif isinstance(made, dict):
        for value in made.values():
            yield from set_fields(value)
    elif isinstance(made, (list, tuple)):
        for value in made:
            yield from set_fields(value)
