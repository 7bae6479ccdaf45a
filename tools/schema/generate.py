"""All generated files, in memory: what the command writes and what the drift test compares."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2

from . import extras, files, rules, stubs
from .aliases import aliases
from .roots import ROOTS
from .walk import Walker

TARGET = Path(__file__).parents[2] / "xds" / "wire" / "schema"


@cache
def descriptors() -> descriptor_pb2.FileDescriptorSet:
    return files.assemble(Walker().walk(ROOTS) | extras.declared())


def generated() -> dict[str, bytes]:
    """Path below `xds/wire/schema` -> content."""
    out = {"data/schema.pb": descriptors().SerializeToString(deterministic=True)}
    out["data/rules.json"] = rules.render(descriptors())
    short = aliases({file.package for file in descriptors().file})
    out["types/_packages.py"] = _packages(short)
    for name, text in stubs.stubs(descriptors().file, short).items():
        out[f"types/{name}"] = text.encode()
    return out


def stale(produced: dict[str, bytes]) -> list[str]:
    """Generated files in the tree that are no longer produced."""
    present = [*(TARGET / "types").glob("*.pyi"), *(TARGET / "data").glob("*")]
    return sorted(name for path in present if (name := path.relative_to(TARGET).as_posix()) not in produced)


def _packages(short: dict[str, str]) -> bytes:
    lines = [
        stubs.HEADER,
        "# ruff: noqa: E501",
        '"""Short name of a namespace -> proto package (the rule: tools/schema/aliases.py)."""',
        "",
    ]
    lines += ["PACKAGES = {", *(f'    "{alias}": "{package}",' for alias, package in short.items()), "}", ""]
    return "\n".join(lines).encode()
