"""The plugin as pytest runs it: the marker, the environment, fixtures of the same name."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

MARKED = """
    import os, pytest, proxyless
    pytestmark = pytest.mark.mesh(namespace="shop", app="storefront", seed=5)

    def test_module(mesh):
        assert isinstance(mesh, proxyless.Mesh)
        assert (mesh.node.namespace, mesh.node.app, mesh.ready) == ("shop", "storefront", True)
        assert "PROXYLESS_DISABLE" not in os.environ

    @pytest.mark.mesh(app="cart", labels={"version": "v1"})
    def test_closest(mesh):
        assert (mesh.node.namespace, mesh.node.app, mesh.node.labels) == ("shop", "cart", {"version": "v1"})

    def test_environment():
        assert os.environ["PROXYLESS_DISABLE"] == "1"
"""
WRONG = """
    import pytest

    @pytest.mark.mesh("shop")
    def test_positional(mesh): ...

    @pytest.mark.mesh(pod="x")
    def test_unknown(mesh): ...
"""
OWN = """
    import pytest

    @pytest.fixture
    def mesh(): return "mine"

    def test_own(mesh): assert mesh == "mine"
"""


def test_the_marker_the_environment_and_a_fixture_of_the_users_own(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")
    pytester.makepyfile(test_marked=MARKED, test_wrong=WRONG, test_own=OWN)
    result = pytester.runpytest_inprocess(
        "-p", "proxyless.pytest_plugin", "-p", "no:cacheprovider", "--strict-markers", "-q"
    )
    result.assert_outcomes(passed=4, errors=2)
    result.stdout.fnmatch_lines_random(["*@pytest.mark.mesh takes keywords only*", "*@pytest.mark.mesh: *'pod'*"])
