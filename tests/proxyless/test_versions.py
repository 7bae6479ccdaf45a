"""A version of a library that is not supported is a named error where a client is made, in the words of the extra."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import proxyless._versions
import proxyless.aiohttp
import proxyless.httpx
import proxyless.requests
import proxyless.urllib3
from proxyless import MeshError, UnsupportedError
from proxyless._versions import require

EXTRAS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize(
    ("library", "make"),
    [
        ("aiohttp", proxyless.aiohttp.middleware),
        ("aiohttp", proxyless.aiohttp.server),
        ("httpx", proxyless.httpx.Transport),
        ("httpx", proxyless.httpx.AsyncTransport),
        ("requests", proxyless.requests.Adapter),
        ("urllib3", proxyless.urllib3.PoolManager),
    ],
)
def test_a_client_is_made_with_versions_of_its_extra_only(
    library: str, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = re.match(rf"{library}(?:\[\w+\])?>=([\d.]+),<([\d.]+)$", EXTRAS[library][0])
    assert found is not None
    oldest, below = found.groups()
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")
    for installed, good in ((oldest, True), ("0.9", False), (f"{below}.0b1", False)):
        monkeypatch.setattr(proxyless._versions, "version", lambda name, said=installed: said)
        require.cache_clear()
        if good:
            make()
            continue
        with pytest.raises(UnsupportedError, match=re.escape(f"{library} {installed} is installed")) as caught:
            make()
        assert f"{oldest} and newer, below {below}" in str(caught.value)
        assert isinstance(caught.value, MeshError)
    monkeypatch.undo()
    require.cache_clear()
    assert importlib.metadata.version(library)
