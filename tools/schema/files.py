"""From single messages to a descriptor set: one synthetic file per proto package, dependencies first.

Envoy's packages do not depend on each other in a circle, so a package is a file. The well-known types keep the file
names that protobuf gives them, because protobuf's JSON conversion recognises wrappers by the name of their file.
Everything is ordered by name where proto3 gives no order, so that the same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import descriptor_pb2 as d

from .walk import Declared

_WELL_KNOWN_FILES = {
    "Any": "any",
    "Duration": "duration",
    "Empty": "empty",
    "Struct": "struct",
    "Value": "struct",
    "ListValue": "struct",
    "NullValue": "struct",
    "Timestamp": "timestamp",
}


def file_name(item: Declared) -> str:
    if item.package == "google.protobuf":
        return f"google/protobuf/{_WELL_KNOWN_FILES.get(item.path[0], 'wrappers')}.proto"
    return item.package.replace(".", "/") + ".proto"


def assemble(found: Mapping[str, Declared]) -> d.FileDescriptorSet:
    files: dict[str, d.FileDescriptorProto] = {}
    needs: dict[str, set[str]] = {}
    built: dict[str, d.DescriptorProto] = {}
    # Parents sort before what is nested in them.
    for full_name in sorted(found):
        item = found[full_name]
        name = file_name(item)
        file = files.setdefault(name, d.FileDescriptorProto(name=name, package=item.package, syntax="proto3"))
        needs.setdefault(name, set()).update(file_name(found[other]) for other in item.depends)
        parent = built[full_name.rpartition(".")[0]] if len(item.path) > 1 else None
        if isinstance(item.proto, d.EnumDescriptorProto):
            (parent.enum_type if parent else file.enum_type).append(item.proto)
        else:
            siblings = parent.nested_type if parent else file.message_type
            siblings.append(item.proto)
            built[full_name] = siblings[-1]
    out = d.FileDescriptorSet()
    for name in _ordered(needs):
        files[name].dependency.extend(sorted(needs[name] - {name}))
        out.file.append(files[name])
    return out


def _ordered(needs: Mapping[str, set[str]]) -> list[str]:
    done: dict[str, None] = {}
    pending: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if name in pending:
            raise ValueError("packages depend on each other in a circle: " + " -> ".join([*pending, name]))
        pending.append(name)
        for other in sorted(needs[name] - {name}):
            visit(other)
        pending.pop()
        done[name] = None

    for name in sorted(needs):
        visit(name)
    return list(done)
