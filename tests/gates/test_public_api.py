"""What is public is a list; it changes on purpose only."""

import importlib

import pytest

PUBLIC = {
    "proxyless": {"ConfigurationError", "Identity", "Mesh", "MeshError", "Node", "NotReadyError", "UnsupportedError"},
    "proxyless.aiohttp": {"call", "middleware", "server"},
    "proxyless.asgi": {"Middleware"},
    "proxyless.extensions": {
        "Config",
        "DataInput",
        "Host",
        "HttpFilter",
        "InputMatcher",
        "LoadBalancer",
        "LoadBalancerContext",
    },
    "proxyless.grpc.aio": {"ServerInterceptor", "channel"},
    "proxyless.grpc": {"ServerInterceptor", "channel"},
    "proxyless.httpx": {"AsyncTransport", "Transport"},
    "proxyless.httpx2": {"AsyncTransport", "Transport"},
    "proxyless.probes": {"Probes"},
    "proxyless.requests": {"Adapter"},
    "proxyless.testing": {"Clock", "Decision", "Decisions", "MeshUnderTest"},
    "proxyless.tls": {"gunicorn", "hypercorn", "peer", "server_context", "uvicorn"},
    "proxyless.urllib3": {"PoolManager"},
    "proxyless.wsgi": {"Middleware"},
}


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_a_module_exports_what_the_list_says(module: str) -> None:
    loaded = importlib.import_module(module)
    assert set(loaded.__all__) == PUBLIC[module]
    for name in loaded.__all__:
        assert getattr(loaded, name).__doc__, f"{module}.{name} has no docstring"


def test_there_are_fewer_than_forty_public_names() -> None:
    assert sum(map(len, PUBLIC.values())) < 40


def test_an_unknown_name_is_an_attribute_error() -> None:
    import proxyless

    with pytest.raises(AttributeError, match="no attribute 'Mash'"):
        proxyless.Mash  # noqa: B018  # the access is the test
