"""Finds the line of a field. Only faults need one, so the document is composed again with marks when there is one."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from ..api.decode import Path, keys_of
from ..loader import Loader


def locate(text: str, path: Path, line: int) -> tuple[int, int]:
    """(line, column) from 1 of the deepest part of `path` that exists in a document that begins at `line`."""
    try:
        node = yaml.compose(text, Loader=Loader)
    except (yaml.YAMLError, ValueError):
        return line, 0
    if node is None:
        return line, 0
    mark = node.start_mark
    column = 1
    for key in keys_of(path):
        step = _step(node, key)
        if step is None and isinstance(node, yaml.ScalarNode):
            inner = _inside(node, text)
            if inner is not None:
                node, below, right = inner
                line, column = line + below, column + right
                step = _step(node, key)
        if step is None:
            break
        mark, node = step
    return mark.line + line, mark.column + column


def _inside(node: yaml.ScalarNode, text: str) -> tuple[yaml.Node, int, int] | None:
    """What a literal block (`|`) holds, if that is YAML itself; how far down and to the right of the text it stands."""
    if node.style != "|":
        return None
    try:
        inner = yaml.compose(node.value, Loader=Loader)
    except (yaml.YAMLError, ValueError):
        return None
    first = node.start_mark.line + 1
    written = next((each for each in text.split("\n")[first:] if each.strip()), "")
    bare = next((each for each in node.value.split("\n") if each.strip()), "")
    if inner is None:
        return None
    return inner, first, len(written) - len(written.lstrip(" ")) - (len(bare) - len(bare.lstrip(" ")))


def duplicate_keys(text: str, line: int) -> Iterator[tuple[int, int, str]]:
    """(line, column, key) of each key that a mapping has more than once; PyYAML takes the last in silence."""
    try:
        root = yaml.compose(text, Loader=Loader)
    except (yaml.YAMLError, ValueError):
        return
    nodes = [root] if root is not None else []
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                nodes.append(value)
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        yield key.start_mark.line + line, key.start_mark.column + 1, key.value
                    seen.add(key.value)


def _step(node: yaml.Node, key: str | int) -> tuple[yaml.Mark, yaml.Node] | None:
    """The mark of an entry (of its key, in a mapping) and its node."""
    if isinstance(node, yaml.MappingNode) and isinstance(key, str):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value == key:
                return name.start_mark, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark, node.value[key]
    return None
