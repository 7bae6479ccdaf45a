"""What a mesh says about arguments and variables that make no sense."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

import proxyless
import proxyless.grpc
import proxyless.httpx
from proxyless import ConfigurationError, Mesh, Node
from proxyless.beginnings import alone
from proxyless.examining.finding import Finding
from proxyless.examining.sidecar import seen
from proxyless.xds.identity.bootstrap import Bootstrap
from tests.support.waiting import wait_for

FOLDER = Path(__file__).parents[1] / "docs" / "istio"


def test_a_variable_that_makes_no_sense_is_a_configuration_error_wherever_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROXY_CONFIG", "[1]")
    ways: list[Callable[[], Mesh]] = [
        lambda: Mesh.from_env(registry=False, cache_dir=False),
        lambda: Mesh("xds://127.0.0.1:1", registry=False, cache_dir=False),
        lambda: Mesh.from_config(FOLDER, registry=False),
    ]
    for made in ways:
        with pytest.raises(ConfigurationError, match="PROXY_CONFIG is not an object"):
            made()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"node": "storefront"}, "node='storefront' is not a proxyless.Node"),
        ({"registry": "x"}, "registry='x' is neither a prometheus_client registry nor False"),
    ],
)
def test_an_argument_of_another_type_is_named_and_leaves_no_thread(options: dict[str, Any], says: str) -> None:
    before = set(threading.enumerate())
    options = {"node": Node(), "registry": False, **options}
    ways: list[Callable[[], Mesh]] = [
        lambda: Mesh("xds://127.0.0.1:1", **options),
        lambda: Mesh.from_config(FOLDER, **options),
    ]
    for made in ways:
        with pytest.raises(ConfigurationError) as caught:
            made()
        assert str(caught.value) == says
    wait_for(lambda: not set(threading.enumerate()) - before)


def test_warnings_of_the_bootstrap_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = tmp_path / "token"
    token.write_text("t0ken")
    with (
        caplog.at_level(logging.WARNING, "proxyless"),
        Mesh(
            "xds://127.0.0.1:1",
            node=Node(app="storefront", namespace="shop"),
            token_file=str(token),
            registry=False,
            cache_dir=False,
        ) as mesh,
    ):
        assert mesh.status()["options"]["warnings"] == [caplog.records[0].getMessage()]
    assert "without TLS" in caplog.text
    assert "t0ken" not in caplog.text


def test_what_is_wrong_in_a_folder_is_logged_and_found_by_status_until_it_is_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("apiVersion: [\n")
    with (
        caplog.at_level(logging.ERROR, "proxyless"),
        Mesh.from_config(tmp_path, node=Node(app="storefront"), registry=False) as mesh,
    ):
        mesh.wait_ready(10)
        (found,) = mesh.status()["findings"]
        assert found.startswith("refused bad.yaml:2:1: is not YAML")
        assert [each.getMessage().startswith(found) for each in caplog.records] == [True]
        bad.write_text("")
        wait_for(lambda: not mesh.status()["findings"])


def test_a_folder_is_no_mesh() -> None:
    folder: Any = "istio/"
    with pytest.raises(TypeError, match=r"is not a proxyless\.Mesh, such as"):
        proxyless.httpx.Transport(folder)


BY_INJECTOR = {"sidecar.istio.io/status": '{"containers": ["istio-proxy"]}'}


def annotated(annotations: dict[str, str]) -> Bootstrap:
    return Bootstrap("127.0.0.1:1", Node("web", "shop", metadata={"ANNOTATIONS": annotations}))


def nobody_listens(annotations: Mapping[str, Any]) -> Iterator[Finding]:
    return seen(annotations, lambda _: False)


def test_a_mesh_of_the_environment_refuses_a_sidecar_beside_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PROXYLESS_XDS", "xds://127.0.0.1:1")
    monkeypatch.setenv("ISTIO_METAJSON_ANNOTATIONS", json.dumps(BY_INJECTOR))
    with pytest.raises(ConfigurationError, match=r"Istio's injector has been at this Pod .*PROXYLESS_ALLOW_SIDECAR=1"):
        Mesh.from_env(registry=False, cache_dir=False)
    monkeypatch.setenv("PROXYLESS_ALLOW_SIDECAR", "1")
    Mesh.from_env(registry=False, cache_dir=False).close()
    assert "each call may be governed twice" in caplog.text


def test_what_may_be_a_sidecar_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    alone(annotated({}), nobody_listens)
    assert not caplog.text
    alone(annotated({}), lambda annotations: seen(annotations, lambda port: port == 15021))
    assert "something listens here at 15021" in caplog.text
    with pytest.raises(ConfigurationError, match="a proxy listens here at 15001"):
        alone(annotated({}), lambda annotations: seen(annotations, lambda port: port == 15001))


def test_whoever_waits_for_configuration_in_vain_is_told_what_keeps_it_away() -> None:
    told: list[str] = []
    with (
        Mesh("xds://127.0.0.1:1", node=Node(app="web", namespace="shop"), registry=False, cache_dir=False) as mesh,
        httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client,
        proxyless.grpc.channel("catalog.shop:80", mesh) as channel,
    ):
        wait_for(lambda: bool(mesh.runtime.behind()))
        with pytest.raises(httpx.ConnectTimeout) as by_httpx:
            client.get("http://catalog.shop/", timeout=0.1)
        with pytest.raises(grpc.RpcError) as by_grpc:
            channel.unary_unary("/shop.Catalog/Get", None, None)(b"", timeout=0.1)
        with pytest.raises(TimeoutError) as by_tcp:
            mesh.create_connection(("catalog.shop", 6379), timeout=0.1)
        told += [str(by_httpx.value), str(by_grpc.value), str(by_tcp.value)]
    for text in told:
        assert "timed out waiting for the first complete configuration (127.0.0.1:1: failed to connect" in text
    mesh.runtime.behind = str
    assert mesh.runtime.late("a filter") == "timed out waiting for a filter"
