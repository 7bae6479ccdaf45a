"""Header mutations one after the other (envoy.config.common.mutation_rules.v3.HeaderMutation): each sees what those
before it have made of the headers, unlike those of routes, which come in levels (governance.headers)."""

from __future__ import annotations

from collections.abc import Sequence

from ..xds.model.matchers import StringMatcher
from ..xds.model.values import HeaderMutation
from .headers import HeaderList, Level, compile_additions
from .matching import ValueTest, string_test
from .request import RequestView
from .subject import Subject

Mutation = Level | bytes | ValueTest
"""An addition, the name of a header to remove, or a test of names to remove."""


def compile_mutations(mutations: Sequence[HeaderMutation | str | StringMatcher]) -> tuple[Mutation, ...]:
    """In order."""
    return tuple(_compiled(each) for each in mutations)


def _compiled(mutation: HeaderMutation | str | StringMatcher) -> Mutation:
    if isinstance(mutation, str):
        return mutation.lower().encode()
    return compile_additions([mutation]) if isinstance(mutation, HeaderMutation) else string_test(mutation)


def mutate(
    mutations: Sequence[Mutation],
    headers: HeaderList,
    request: RequestView,
    *,
    live: bool = True,
    subject: Subject | None = None,
) -> HeaderList:
    """The headers after all of them; values are formatted from the request, with `live` having these headers.

    `subject`: what else is known.
    """
    for each in mutations:
        if isinstance(each, Level):
            headers = each.apply(headers, request, live=live, subject=subject)
        elif isinstance(each, bytes):
            headers = [pair for pair in headers if pair[0].lower() != each]
        else:
            headers = [pair for pair in headers if not each(pair[0].lower())]
    return headers
