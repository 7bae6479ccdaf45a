"""What a mesh says about arguments and variables that make no sense."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from proxyless import ConfigurationError, Mesh, Node

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
