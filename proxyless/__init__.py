"""What an Istio sidecar gives a program, inside a Python process, without the sidecar.

    mesh = proxyless.Mesh.from_env()
    client = httpx.Client(transport=proxyless.httpx.Transport(mesh))

`Mesh` is a process's part in the mesh; each suite is a module of its own (`proxyless.httpx`, `proxyless.asgi` ...),
imported when it is first named. Nothing is imported, started or connected before it is asked for.
"""

# Type checkers know this name; importing it would cost more than the rest of this module.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from . import aiohttp as aiohttp
    from . import asgi as asgi
    from . import grpc as grpc
    from . import httpx as httpx
    from . import httpx2 as httpx2
    from . import probes as probes
    from . import requests as requests
    from . import tls as tls
    from . import urllib3 as urllib3
    from . import wsgi as wsgi
    from .errors import ConfigurationError, MeshError, NotReadyError, UnsupportedError
    from .mesh import Mesh
    from .xds.identity.bootstrap import Node
    from .xds.identity.identity import Identity

__version__ = "0.1.0"

__all__ = ["ConfigurationError", "Identity", "Mesh", "MeshError", "Node", "NotReadyError", "UnsupportedError"]

_HOMES = {
    "ConfigurationError": "errors",
    "Identity": "xds.identity.identity",
    "Mesh": "mesh",
    "MeshError": "errors",
    "Node": "xds.identity.bootstrap",
    "NotReadyError": "errors",
    "UnsupportedError": "errors",
}
_SUITES = (
    "aiohttp",
    "asgi",
    "grpc",
    "httpx",
    "httpx2",
    "probes",
    "requests",
    "tls",
    "urllib3",
    "wsgi",
)


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    if name in _SUITES:
        return import_module(f".{name}", __name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUITES})
