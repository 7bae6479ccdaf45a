"""A host that nobody serves: httpx's own error, which says whether the mesh knows the host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import proxyless

FOLDER = Path(__file__).parents[2] / "docs" / "istio"
NODE = proxyless.Node(app="storefront", namespace="shop", ip="127.0.10.1")


@pytest.fixture
def mesh() -> Iterator[proxyless.Mesh]:
    with proxyless.Mesh.from_config(FOLDER, node=NODE, registry=False) as made:
        made.wait_ready(10)
        yield made


def test_a_name_that_the_mesh_does_not_know_is_said_to_be_unknown(mesh: proxyless.Mesh) -> None:
    with (
        httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False)) as client,
        pytest.raises(httpx.ConnectError, match=r"nothing in the mesh takes catalgo\.invalid:80, so it was dialled"),
    ):
        client.get("http://catalgo.invalid/items")


def test_async_clients_are_told_too(mesh: proxyless.Mesh) -> None:
    async def ask() -> None:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh, trust_env=False)) as client:
            await client.get("http://127.0.0.1:1/items")

    with pytest.raises(httpx.ConnectError, match=r"nothing in the mesh takes 127\.0\.0\.1:1, so it was dialled"):
        asyncio.run(ask())


def test_before_there_is_a_configuration_nothing_is_said_about_it() -> None:
    with (
        proxyless.Mesh(
            "xds://127.0.0.1:1", node=NODE, registry=False, cache_dir=False, passthrough_until_ready=True
        ) as away,
        httpx.Client(transport=proxyless.httpx.Transport(away, trust_env=False)) as client,
        pytest.raises(httpx.ConnectError) as caught,
    ):
        client.get("http://127.0.0.1:1/")
    assert "mesh" not in str(caught.value)


def test_it_is_counted_as_a_connection_that_could_not_be_made(mesh: proxyless.Mesh) -> None:
    heard: list[tuple[int, tuple[str, ...]]] = []

    class Listener:
        def on_call(self, call: Any) -> None:
            heard.append((call.status, call.flags))

        def on_request(self, request: Any) -> None:
            raise AssertionError("nobody asked")

    mesh.runtime.add_listener(Listener())
    with (
        httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False)) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.get("http://catalgo.invalid/items")
    assert heard == [(503, ("UF",))]
