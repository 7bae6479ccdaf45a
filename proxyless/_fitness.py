"""What a mesh cannot work in or with: processes, and ports that are none, refused at start by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

from .errors import UnsupportedError

PATCHED = ("thread", "socket", "select")
"""What eventlet puts in the place of a mesh's threads and connections."""

CERTIFICATE = "--ssl-certificate"
"""The option of granian's that makes it speak TLS, and its variable."""
CERTIFICATE_VARIABLE = "GRANIAN_SSL_CERTIFICATE"


def refuse_no_port(port: object) -> None:
    """Raises TypeError or ValueError where an app's port is none. `"8000"` would be taken by the catch-all chain.

    None is right: the server says it.
    """
    if port is None:
        return
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port={port!r} is not a number, such as int(os.environ['PORT'])")
    if not 1 <= port <= 65535:
        raise ValueError(f"port={port!r} is none: it is the app's own, from 1 to 65535")


def refuse_eventlet(modules: Mapping[str, ModuleType] = sys.modules) -> None:
    """Raises UnsupportedError where eventlet is in charge: grpc hangs under it, and so do threads of a mesh."""
    patcher = modules.get("eventlet.patcher")
    patched = [each for each in PATCHED if patcher is not None and patcher.is_monkey_patched(each)]
    if patched:
        raise UnsupportedError(
            f"eventlet has patched {', '.join(patched)} of this process, and grpc cannot run under it: "
            "use threads, asyncio or gevent, or leave eventlet.monkey_patch() away"
        )


def refuse_forked(environ: Mapping[str, str] = os.environ) -> None:
    """Raises UnsupportedError in a child of a process that has called by gRPC, unless grpcio is told of forks."""
    from .xds.transport.grpc_stream import supports_forks

    if not supports_forks(environ):
        raise UnsupportedError(
            "this process was forked from one that has made calls by this gRPC channel, and grpcio crashes or hangs "
            "there: make the channel in the child, or fork before its first call (docs/grpc.md)"
        )


def refuse_own_tls(
    arguments: Sequence[str] = sys.argv,
    environ: Mapping[str, str] = os.environ,
    modules: Mapping[str, ModuleType] = sys.modules,
) -> None:
    """Raises UnsupportedError below a granian that terminates TLS: who connects is known to nobody else then."""
    if "granian" not in modules:
        return
    if environ.get(CERTIFICATE_VARIABLE) or any(each.partition("=")[0] == CERTIFICATE for each in arguments):
        raise UnsupportedError(
            f"granian terminates TLS by itself ({CERTIFICATE}), which hides from the mesh who connects: leave the "
            "option away, or serve by the mesh's mTLS under another server (docs/servers.md)"
        )
