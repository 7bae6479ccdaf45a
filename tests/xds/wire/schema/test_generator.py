"""The parts of the generator whose rules cannot be seen from the files that they write."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import betterproto2
import pytest
from google.protobuf import descriptor_pb2 as d

from tools.schema import __main__ as command
from tools.schema import extras, generate, official, rules, walk
from tools.schema.aliases import aliases
from tools.schema.files import assemble, file_name
from tools.schema.generate import descriptors
from tools.schema.stubs import stubs
from tools.schema.walk import Declared, Walker


@pytest.mark.parametrize(
    ("packages", "wanted"),
    [
        (["envoy.config.cluster.v3"], ["cluster_v3"]),
        (["envoy.config.rbac.v3", "envoy.extensions.filters.http.rbac.v3"], ["rbac_v3", "http_rbac_v3"]),
        (
            ["envoy.extensions.filters.http.rbac.v3", "envoy.extensions.filters.network.rbac.v3"],
            ["http_rbac_v3", "network_rbac_v3"],
        ),
        (["envoy.type.matcher.v3", "envoy.config.common.matcher.v3"], ["matcher_v3", "common_matcher_v3"]),
        (["envoy.config.core.v3", "xds.core.v3"], ["core_v3", "xds_core_v3"]),
        (["xds.data.orca.v3", "xds.service.orca.v3"], ["xds_data_orca_v3", "xds_service_orca_v3"]),
        (["envoy.extensions.wasm.v3", "envoy.extensions.filters.http.wasm.v3"], ["wasm_v3", "http_wasm_v3"]),
        (["google.protobuf", "istio.v1.auth"], ["google_protobuf", "istio_auth_v1"]),
    ],
)
def test_an_alias_is_the_last_folder_unless_that_is_taken(packages: list[str], wanted: list[str]) -> None:
    assert aliases(packages) == dict(sorted(zip(wanted, packages, strict=True)))
    assert aliases(reversed(packages)) == aliases(packages)


def test_two_packages_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="one alias"):
        aliases(["envoy.extensions.x.a.b.c.v3", "envoy.extensions.y.a.b.c.v3"])


def test_a_root_that_does_not_exist_is_refused() -> None:
    with pytest.raises(LookupError, match="no message envoy"):
        Walker().walk(["envoy.config.cluster.v3.Nonsense"])


def test_a_nested_root_brings_its_parents_along() -> None:
    found = Walker().walk(["envoy.config.cluster.v3.Cluster.RefreshRate"])
    assert {"envoy.config.cluster.v3.Cluster", "google.protobuf.Duration"} <= set(found)


def test_well_known_types_keep_the_files_that_protobufs_json_looks_for() -> None:
    found = Walker().walk(["google.protobuf.UInt32Value", "google.protobuf.Struct"])
    assert file_name(found["google.protobuf.UInt32Value"]) == "google/protobuf/wrappers.proto"
    assert file_name(found["google.protobuf.ListValue"]) == "google/protobuf/struct.proto"


def test_files_come_after_what_they_depend_on() -> None:
    seen: set[str] = set()
    for file in descriptors().file:
        assert set(file.dependency) <= seen
        seen.add(file.name)


def test_packages_in_a_circle_are_refused() -> None:
    first = Declared("a", ("A",), d.DescriptorProto(name="A"), ("b.B",))
    second = Declared("b", ("B",), d.DescriptorProto(name="B"), ("a.A",))
    with pytest.raises(ValueError, match="circle"):
        assemble({"a.A": first, "b.B": second})


def test_an_extra_message_is_not_one_that_envoy_data_plane_has() -> None:
    own = extras.declared()
    assert "udpa.type.v1.TypedStruct" in own
    for name in own:
        if not name.startswith(("istio.", "stats.", "envoy.tcp.")):
            with pytest.raises(LookupError):
                Walker().walk([name])


def test_an_amended_rule_that_amends_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = rules.rules(descriptors(), official.files())
    same = found["envoy.config.cluster.v3.Cluster"]["fields"]["name"]
    monkeypatch.setattr(rules, "AMENDED", {"envoy.config.cluster.v3.Cluster.name": same})
    with pytest.raises(LookupError, match="the same without"):
        rules.amend(descriptors(), found)
    monkeypatch.setattr(rules, "AMENDED", {"envoy.config.cluster.v3.Cluster.nonsense": same})
    with pytest.raises(LookupError, match="does not have"):
        rules.amend(descriptors(), found)


def test_an_amended_rule_may_take_the_only_rule_of_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "envoy.config.accesslog.v3.AndFilter"
    found = {name: copy.deepcopy(rules.rules(descriptors(), official.files())[name])}
    monkeypatch.setattr(rules, "AMENDED", {f"{name}.filters": None})
    rules.amend(descriptors(), found)
    assert found == {}


def test_a_message_of_an_excluded_type_has_its_rules_switched_off() -> None:
    files = d.FileDescriptorSet()
    message = files.file.add(name="x.proto", package="x").message_type.add(name="M")
    message.field.add(name="f", number=1, type=d.FieldDescriptorProto.TYPE_STRING)
    disabled = official.options_class("google.protobuf.MessageOptions")()
    disabled.Extensions[official.extension("validate.disabled")] = True
    message.options.MergeFromString(disabled.SerializeToString())
    assert rules.rules(files, files) == {"x.M": {"disabled": True}}


def test_a_stub_tells_a_nested_message_from_a_top_level_one_of_the_same_name() -> None:
    file = d.FileDescriptorProto(name="x.proto", package="x", syntax="proto3")
    file.message_type.add(name="Inner")
    outer = file.message_type.add(name="Outer")
    outer.nested_type.add(name="Inner")
    kind = d.FieldDescriptorProto.TYPE_MESSAGE
    outer.field.add(name="far", number=1, type=kind, type_name=".x.Inner", label="LABEL_OPTIONAL")
    outer.field.add(name="near", number=2, type=kind, type_name=".x.Outer.Inner", label="LABEL_OPTIONAL")
    text = stubs([file], {"x_v1": "x"})["x_v1.pyi"]
    assert "from . import x_v1" in text
    assert "def far(self) -> x_v1.Inner: ..." in text
    assert "def near(self) -> Outer.Inner: ..." in text


def test_a_stub_allows_a_field_called_self() -> None:
    file = d.FileDescriptorProto(name="x.proto", package="x", syntax="proto3")
    message = file.message_type.add(name="M")
    message.field.add(name="self", number=1, type=d.FieldDescriptorProto.TYPE_BOOL, label="LABEL_OPTIONAL")
    assert "_self,\n        *,\n        self: bool = ...," in stubs([file], {"x_v1": "x"})["x_v1.pyi"]


def test_an_optional_scalar_gets_a_synthetic_oneof_after_the_real_ones() -> None:
    @dataclasses.dataclass
    class Message(betterproto2.Message):
        maybe: int | None = betterproto2.field(1, betterproto2.TYPE_INT32, optional=True)
        one: str | None = betterproto2.field(2, betterproto2.TYPE_STRING, optional=True, group="choice")

    Message.__annotations__ = {"maybe": "int | None", "one": "str | None"}
    proto, _ = walk._message(Message, ("M",), [])
    assert [oneof.name for oneof in proto.oneof_decl] == ["choice", "_maybe"]
    assert [(field.oneof_index, field.proto3_optional) for field in proto.field] == [(1, True), (0, False)]


def test_an_enum_may_give_one_number_two_names() -> None:
    name = "envoy.extensions.compression.gzip.compressor.v3.Gzip"
    levels = Walker().walk([name])[f"{name}.CompressionLevel"].proto
    assert isinstance(levels, d.EnumDescriptorProto)
    assert levels.options.allow_alias
    assert {value.name for value in levels.value if value.number == 1} == {"BEST_SPEED", "COMPRESSION_LEVEL_1"}


def test_a_package_without_messages_is_refused() -> None:
    with pytest.raises(LookupError, match="no messages in package"):
        Walker().walk(["envoy.extensions.*"])


def test_the_command_writes_what_is_missing_and_removes_what_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (generate, command):
        monkeypatch.setattr(module, "TARGET", tmp_path)
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "gone_v3.pyi").touch()
    assert command.main(["--check"]) == 1
    assert "no longer produced: types/gone_v3.pyi" in capsys.readouterr().out
    assert command.main([]) == 0
    assert "wrote: data/schema.pb" in capsys.readouterr().out
    assert not (tmp_path / "types" / "gone_v3.pyi").exists()
    assert command.main(["--check"]) == 0
