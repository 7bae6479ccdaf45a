"""Header mutations one after the other (envoy.config.common.mutation_rules.v3.HeaderMutation)."""

from __future__ import annotations

from collections.abc import Iterable

from ...model.matchers import StringMatcher
from ...model.values import HeaderMutation
from ..refused import NotUnderstoodError
from ..schema import types as pb
from .matchers import string_matcher
from .values import header_options


def mutations(
    messages: Iterable[pb.mutation_rules_v3.HeaderMutation],
) -> tuple[HeaderMutation | str | StringMatcher, ...]:
    """In order: a header to set, the name of one to remove, a matcher of names to remove."""
    found: list[HeaderMutation | str | StringMatcher] = []
    for each in messages:
        match each.WhichOneof("action"):
            case "append":
                found += header_options([each.append])
            case "remove":
                found.append(each.remove)
            case _:
                try:
                    found.append(string_matcher(each.remove_on_match.key_matcher))
                except NotUnderstoodError:
                    continue  # a matcher that is not understood matches no name
    return tuple(found)
