"""Our schema against Envoy's own descriptors, which xds-protos carries (in a virtual environment of its own)."""

from collections.abc import Mapping

import pytest

from tools.schema import official
from tools.schema.generate import descriptors

from . import newer
from .descriptors import Facts, facts

# Not Envoy's: Istio's own messages, which tools/schema/extras.py spells out.
ISTIO = ("istio.", "envoy.tcp.metadataexchange.", "stats.")


@pytest.fixture(scope="module")
def theirs() -> Mapping[str, Facts]:
    return facts(official.files())


@pytest.fixture(scope="module")
def ours() -> Mapping[str, Facts]:
    return {name: found for name, found in facts(descriptors()).items() if not name.startswith(ISTIO)}


def test_every_message_and_enum_is_one_of_the_official_ones(
    ours: Mapping[str, Facts], theirs: Mapping[str, Facts]
) -> None:
    assert set(ours) - set(theirs) == newer.TYPES


def test_every_field_and_enum_value_is_one_of_the_official_ones(
    ours: Mapping[str, Facts], theirs: Mapping[str, Facts]
) -> None:
    added = {name: found.keys() - theirs[name].keys() for name, found in ours.items() if name in theirs}
    assert {name: members for name, members in added.items() if members} == newer.MEMBERS


def test_no_official_field_or_enum_value_is_missing(ours: Mapping[str, Facts], theirs: Mapping[str, Facts]) -> None:
    missing = {name: theirs[name].keys() - found.keys() for name, found in ours.items() if name in theirs}
    assert {name: members for name, members in missing.items() if members} == {}


def test_fields_agree_in_number_type_label_oneof_presence_and_packing(
    ours: Mapping[str, Facts], theirs: Mapping[str, Facts]
) -> None:
    differing = [
        (name, member, fact, theirs[name][member])
        for name, found in ours.items()
        for member, fact in found.items()
        if name in theirs and member in theirs[name] and fact != theirs[name][member]
    ]
    assert differing == []


def test_fields_are_declared_in_the_official_order(ours: Mapping[str, Facts], theirs: Mapping[str, Facts]) -> None:
    differing = set()
    for name, found in ours.items():
        common = [member for member in found if member in theirs.get(name, {})]
        if common != [member for member in theirs.get(name, {}) if member in found]:
            differing.add(name)
    assert differing == newer.REORDERED


def test_the_comparison_sees_a_renumbered_field(ours: Mapping[str, Facts]) -> None:
    changed = official.files()
    copy = type(changed)()
    copy.CopyFrom(changed)
    file = next(f for f in copy.file if f.name == "envoy/config/cluster/v3/cluster.proto")
    cluster = next(m for m in file.message_type if m.name == "Cluster")
    next(f for f in cluster.field if f.name == "connect_timeout").number = 999
    name = "envoy.config.cluster.v3.Cluster"
    assert facts(copy)[name]["connect_timeout"] != ours[name]["connect_timeout"]
