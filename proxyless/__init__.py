"""What an Istio sidecar gives a program, inside a Python process, without the sidecar.

    mesh = proxyless.Mesh.from_env()
    client = httpx.Client(transport=proxyless.httpx.Transport(mesh))

`Mesh` is a process's part in the mesh; each suite is a module of its own (`proxyless.httpx`, `proxyless.asgi` ...).
Nothing is imported, started or connected before it is asked for.
"""

# Type checkers know this name; importing it would cost more than the rest of this module.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .errors import ConfigurationError, MeshError, NotReadyError
    from .mesh import Mesh
    from .xds.identity.bootstrap import Node

__version__ = "0.1.0"

__all__ = ["ConfigurationError", "Mesh", "MeshError", "Node", "NotReadyError"]

_HOMES = {
    "ConfigurationError": "errors",
    "Mesh": "mesh",
    "MeshError": "errors",
    "Node": "xds.identity.bootstrap",
    "NotReadyError": "errors",
}


def __getattr__(name: str) -> "Any":
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
