"""The examples of docs/testing.md are tests: pytest runs them, by the plugin that they are about."""

from __future__ import annotations

import pytest

from tests.docs.pages import blocks, text_of

pytest_plugins = ["pytester"]


def test_the_tests_of_the_page_pass(pytester: pytest.Pytester) -> None:
    wanted = 0
    for block in blocks("testing", "python"):
        (pytester.path / block.file).write_text(block.text)
        wanted += block.text.count("\ndef test_")
    result = pytester.runpytest_inprocess("-p", "proxyless.pytest_plugin", "--strict-markers", "-q")
    result.assert_outcomes(passed=wanted)
    assert wanted >= 4


def test_the_page_names_every_part_of_a_decision() -> None:
    from proxyless.testing.decisions import ASKED

    text = text_of("testing")
    assert not [each for each in ASKED if f"`{each}`" not in text]
