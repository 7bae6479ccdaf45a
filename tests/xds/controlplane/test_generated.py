"""Whatever is written: nothing fails, the real Envoy takes what comes out, and nothing of it is ignored in silence.

`PROXYLESS_GENERATED` says how many meshes are drawn (`make generated N=...`), `PROXYLESS_SEED` from which seed on;
without them it is always the same few.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, get_args, get_type_hints

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyless.xds.controlplane import check
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.resources import Resources
from proxyless.xds.controlplane.emit.view import View
from proxyless.xds.controlplane.kinds import KINDS
from proxyless.xds.controlplane.mesh import MeshConfig
from proxyless.xds.controlplane.registry.world import World
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire import codec
from proxyless.xds.wire.coverage import notes
from proxyless.xds.wire.schema import unpack, validate

from .batch import refused
from .checking.test_everything import NAMED, NOT_NAMED
from .everything import ENTRIES, KUBERNETES
from .generated_meshes import Json, Mesh, any_objects, callers, meshes, object_of, repaired, set_fields, valid
from .support import objects as of_text
from .support import view
from .validate import bootstrap

MESHES = int(os.environ.get("PROXYLESS_GENERATED", "20"))
SEED = int(os.environ.get("PROXYLESS_SEED", "0"))
OBJECTS = 30
"""Of each kind, for the coverage of fields."""
BASE = of_text(KUBERNETES + ENTRIES)
OF_THE_NODE = ("only the first address is looked at", "nothing is traced yet")
"""What `status` alone names: a node has addresses of two families, a mesh has a provider of tracing."""
UNKNOWN = ("this version of proxyless does not know", "unknown type")


@dataclass(frozen=True)
class Drawn:
    """One mesh, and what one of its nodes sees."""

    seed: int
    mesh: Mesh
    view: View

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.mesh[1]}:\n{yaml.safe_dump_all(self.mesh[0])}"


@cache
def drawn() -> tuple[Drawn, ...]:
    made = []
    for seed in range(SEED, SEED + MESHES):
        mesh = meshes().draw(Random(seed))
        made.append(Drawn(seed, mesh, seen(mesh)))
    return tuple(made)


def seen(mesh: Mesh) -> View:
    written, caller = mesh
    world = World([*BASE, *valid(written)], MeshConfig())
    who = {"labels": {"app": "web"}, "locality": ("r1", "a", "")}
    return view(world, pod=caller.pod, ip=caller.ip, **who, **caller.metadata)  # type: ignore[arg-type]


def everything_of(made: View) -> Iterator[tuple[ResourceType, str, bytes]]:
    """All that a client could ask for, each message checked by the rules that stand in Envoy's schema."""
    resources = Resources()
    held: dict[rules.ResourceType, list[tuple[str, Any]]] = {
        rules.CLUSTER: list(resources.make(rules.CLUSTER, made, ())),
        rules.LISTENER: list(resources.make(rules.LISTENER, made, ())),
    }
    listeners = [name for name, _ in held[rules.LISTENER]]
    ports = {name.rpartition("_")[2] for name in listeners} - {"virtualInbound", "virtualOutbound"}
    ports |= {name.rpartition("_")[0] for name in listeners if name.startswith("unix://")}
    held[rules.ENDPOINT] = list(resources.make(rules.ENDPOINT, made, [name for name, _ in held[rules.CLUSTER]]))
    held[rules.ROUTE] = list(resources.make(rules.ROUTE, made, sorted(ports)))
    held[rules.NAMES] = list(resources.make(rules.NAMES, made, ()))
    for type_, resource in ((type_, each) for type_, each_of in held.items() for each in each_of):
        name, content = resource
        message = unpack(content)
        assert message is not None
        validate(message)
        yield ResourceType(type_.url), name, content.value


@settings(deadline=None, max_examples=15, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(any_objects(), min_size=1, max_size=4), st.integers(0, 99))
def test_any_objects_give_resources_that_keep_envoys_rules(written: list[Json], who: int) -> None:
    """Hypothesis' own objects, which shrink, and of which the reader refuses many."""
    for _ in everything_of(seen((written, callers().draw(Random(who))))):
        pass


@pytest.mark.parametrize("part", range(4))
def test_what_comes_of_generated_meshes_is_read_and_nothing_of_it_is_unknown(part: int, tmp_path: Path) -> None:
    """By our own decoders; what a process will not do `check` names. What patches bring, `status` alone."""
    for one in drawn()[part::4]:
        if _warned(one, tmp_path):
            continue
        reasons = set()
        for type_, name, raw in everything_of(one.view):
            if type_ is not ResourceType.NAMES:
                codec.parse(type_, raw)
                codec.resource(type_, name, "1", raw).get()
            for note in notes(type_, raw):
                assert not note.reason.startswith(UNKNOWN), f"{name}: {note}\n{one}"
                reasons.add(note.reason)
        said = {each.field for each in check(tmp_path / str(one.seed))}
        if any(each["kind"] == "EnvoyFilter" for each in one.mesh[0]):
            continue
        for reason in reasons:
            told = any(_names(field, reason) for field in said)
            assert told or reason.startswith((*NOT_NAMED, *OF_THE_NODE)), f"{reason}: {sorted(said)}\n{one}"


def _names(field: str, reason: str) -> bool:
    """Whether what `check` says of that field is what a process says of a resource."""
    named = next((name for begin, name in NAMED.items() if reason.startswith(begin)), "nothing")
    if reason.startswith("tunnels"):
        return field.endswith(".tunnel")
    return field.startswith(named) or ("access logs" in reason and "ccessLog" in field)


@pytest.mark.envoy
def test_envoy_takes_what_comes_of_generated_meshes(tmp_path: Path) -> None:
    """In one process; what `check` calls an error for Envoy's sake is left out."""
    taken = [one for one in drawn() if not _warned(one, tmp_path)]
    assert len(taken) > len(drawn()) * 3 // 4
    for start in range(0, len(taken), 40):
        some = taken[start : start + 40]
        for number, said in refused([bootstrap(one.view) for one in some], tmp_path).items():
            pytest.fail(f"{said}\n{some[number]}")


def _warned(one: Drawn, where: Path) -> bool:
    folder = where / str(one.seed)
    folder.mkdir()
    (folder / "mesh.yaml").write_text(f"{KUBERNETES}{ENTRIES}---\n{yaml.safe_dump_all(one.mesh[0])}")
    return any(each.message.startswith("Envoy refuses") for each in check(folder))


def test_every_kind_is_drawn_and_most_of_its_fields() -> None:
    """In objects that the reader takes."""
    taken: Counter[str] = Counter()
    covered: set[tuple[str, str]] = set()
    for kind in KINDS:
        for seed in range(OBJECTS):
            for item in valid([repaired(object_of(kind).draw(Random(seed)))]):
                taken[kind] += 1
                covered |= set(set_fields(item.spec))
    assert set(taken) == set(KINDS)
    assert {kind for kind in KINDS if taken[kind] < OBJECTS // 2} == set()
    every: set[tuple[str, str]] = set()
    for known in KINDS.values():
        _fields(known.message, every)
    assert len(covered & every) > len(every) * 0.65, sorted(every - covered)


def _fields(message: Any, into: set[tuple[str, str]]) -> None:
    """(message, field) of a message and all below it."""
    hints = get_type_hints(message)
    for each in fields(message):
        if (message.__name__, each.name) not in into:
            into.add((message.__name__, each.name))
            for inner in _messages(hints[each.name]):
                _fields(inner, into)


def _messages(hint: Any) -> Iterator[Any]:
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for inner in get_args(hint):
        yield from _messages(inner)
