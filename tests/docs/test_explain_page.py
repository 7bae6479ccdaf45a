"""The explain page's table, the published schema and what the command answers are about the same keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

import proxyless
from proxyless.cli.explain import explain_one
from tests.docs.pages import FOLDER, text_of

SCHEMA = json.loads((files("proxyless.schemas") / "explain.schema.json").read_text())
NODE = proxyless.Node(app="storefront", namespace="shop", ip="127.0.10.1")


@pytest.fixture(scope="module")
def mesh() -> Iterator[proxyless.Mesh]:
    with proxyless.Mesh.from_config(FOLDER, node=NODE, registry=False) as made:
        made.wait_ready(10)
        yield made


def test_the_page_names_every_key_of_the_schema_and_no_other() -> None:
    section = text_of("explain").partition("## The document")[2].partition("## Exit status")[0]
    first = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    named = {key for cell in first for key in re.findall(r"`(\w+)`", cell)}
    assert named == set(SCHEMA["required"])


@pytest.mark.parametrize(
    ("line", "inbound", "action", "bad"),
    [
        ({"url": "http://catalog/items"}, None, "route", False),
        ({"url": "http://catalog/items", "count": 3}, None, "route", False),
        ({"url": "http://catalog/old/x"}, None, "redirect", False),
        ({"url": "http://outside.example/"}, None, "passthrough", False),
        ({"url": "https://outside.example/"}, None, "passthrough", False),
        ({"url": "http://storefront/", "count": 4}, 8000, "route", True),
    ],
)
def test_an_answer_has_the_published_form(
    mesh: proxyless.Mesh, line: dict[str, Any], inbound: int | None, action: str, bad: bool
) -> None:
    document, failed = explain_one(mesh, line, inbound, "127.0.0.1", patience_s=10)
    jsonschema.validate(document, SCHEMA)
    assert (document["action"], failed) == (action, bad)
