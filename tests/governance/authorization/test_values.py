"""What is asked of metadata."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.authorization.values import MISSING, value_at, value_test
from proxyless.xds.model.matchers import StringMatcher
from proxyless.xds.model.rbac import AnyValue, InList, IsBool, IsNull, IsNumber, IsPresent, ValueMatcher
from tests.governance.authorization.asking import exact

ADMIN = exact("admin")


@pytest.mark.parametrize(
    ("matcher", "value", "expected"),
    [
        (ADMIN, "admin", True),
        (ADMIN, 1, False),
        (ADMIN, MISSING, False),
        (ADMIN, ["admin"], False),
        (StringMatcher("prefix", "é"), "école", True),
        (InList(ADMIN), ["user", "admin"], True),
        (InList(ADMIN), ("user",), False),
        (InList(ADMIN), "admin", False),
        (AnyValue((InList(ADMIN), ADMIN)), "admin", True),
        (AnyValue((InList(ADMIN), ADMIN)), [], False),
        (IsPresent(wanted=True), None, True),
        (IsPresent(wanted=True), MISSING, False),
        (IsPresent(wanted=False), MISSING, False),
        (IsPresent(wanted=False), "x", False),
        (IsNull(), None, True),
        (IsNull(), MISSING, False),
        (IsBool(value=True), True, True),
        (IsBool(value=False), True, False),
        (IsBool(value=True), 1, False),
        (IsNumber(1.0), 1, True),
        (IsNumber(1.0), True, False),
        (IsNumber(1.0), "1", False),
        (IsNumber(1.0, 2.0), 1.5, True),
        (IsNumber(1.0, 2.0), 2.0, False),
        (IsNumber(1.0, 1.0), 1.0, False),
    ],
)
def test_values(matcher: ValueMatcher, value: Any, expected: bool) -> None:
    assert value_test(matcher)(value) is expected


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("f", ("a", "b"), "x"),
        ("f", ("a",), {"b": "x"}),
        ("f", ("a", "b", "c"), MISSING),
        ("f", ("z",), MISSING),
        ("g", ("a",), MISSING),
    ],
)
def test_paths(name: str, path: tuple[str, ...], expected: Any) -> None:
    assert value_at({"f": {"a": {"b": "x"}}}, name, path) == expected
