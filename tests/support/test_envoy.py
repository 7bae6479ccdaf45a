"""How the real Envoy is found, and what happens where it cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import envoy


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What was found by other tests does not count here, and the reverse."""
    envoy.find.cache_clear()
    yield
    envoy.find.cache_clear()


def test_the_environment_names_the_binary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = tmp_path / "envoy"
    binary.touch(0o755)
    monkeypatch.setenv("PROXYLESS_ENVOY", str(binary))
    assert envoy.find() == binary


def test_where_envoy_cannot_be_had_the_test_is_skipped_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROXYLESS_ENVOY", str(tmp_path / "missing"))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"cannot be had: PROXYLESS_ENVOY=.* is not an executable file"):
        envoy.require()


def test_under_continuous_integration_that_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROXYLESS_ENVOY", str(tmp_path / "missing"))
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="cannot be had"):
        envoy.require()


def test_the_cache_lies_outside_the_checkout_and_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PROXYLESS_ENVOY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "proxyless" / f"envoy-{envoy.VERSION}"
    binary = folder / "lib" / "python3.11" / "site-packages" / "envoy" / "_bin" / "envoy"
    binary.parent.mkdir(parents=True)
    binary.touch(0o755)
    (folder / "complete").touch()
    assert envoy.find() == binary
