"""URI templates of paths, as Envoy reads them."""

from __future__ import annotations

import re

import pytest

from proxyless.xds.wire.decode.templates import template_pattern
from proxyless.xds.wire.refused import RefusedError


@pytest.mark.parametrize(
    ("template", "path", "taken"),
    [
        ("/a/c", "/a/c", True),
        ("/a/c", "/a/d", False),
        ("/a.c", "/abc", False),
        ("/*/c", "/x=1/c", True),
        ("/*/c", "/x/y/c", False),
        ("/*/c", "//c", False),
        ("/a/**", "/a/", True),
        ("/a/**", "/a/b/c", True),
        ("/{x=p/*}/{y}", "/p/q/r", True),
        ("/{x=**}.js", "/a/b.js", True),
        ("/{x=**}.js", "/a/b.jsx", False),
    ],
)
def test_a_template_takes_whole_paths(template: str, path: str, taken: bool) -> None:
    assert (re.fullmatch(template_pattern(template), path) is not None) == taken


def test_variables_have_names() -> None:
    match = re.fullmatch(template_pattern("/{a}/x/{rest=**}"), "/1/x/2/3")
    assert match is not None
    assert match.groupdict() == {"a": "1", "rest": "2/3"}


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("a", "Does not start"),
        ("/{a", "Unmatched variable bracket"),
        ("/{a}/{a}", "Repeated variable name"),
        ("/{a}/{b}/{c}/{d}/{e}/{f}", "Exceeded variable count limit"),
        ("/{abcdefghijklmnopq}", "too long"),
    ],
)
def test_what_is_no_template_is_refused(template: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        template_pattern(template)
