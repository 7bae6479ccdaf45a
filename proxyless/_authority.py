"""The development authority within the process: certificates for a mesh that is its own control plane."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from .errors import ConfigurationError

if TYPE_CHECKING:
    from .xds.controlplane import Plane
    from .xds.identity.bootstrap import Node
    from .xds.identity.settings import FromAuthority


def own_authority(directory: str | os.PathLike[str], plane: Plane, node: Node) -> FromAuthority:
    """Where this workload's certificate comes from: the authority in a folder, which is made where there is none.

    Whoever can read the folder is everybody, so nobody has to prove who it is here: the node says so.

    Raises:
        ConfigurationError: the folder cannot be used, or the node's names are none.
    """
    from .xds.controlplane.authority.authority import Authority
    from .xds.controlplane.authority.callers import AuthorityError, Caller
    from .xds.controlplane.authority.directory import Directory, DirectoryError
    from .xds.identity.refusals import RefusedError
    from .xds.identity.settings import FromAuthority

    def trust_domain() -> str:
        return plane.state.world.mesh.trust_domain

    def ask(request: bytes) -> tuple[str, ...]:
        # Opened anew, so that a forked child finds no lock that its parent held.
        try:
            return Authority(Directory(directory, time.time()), time.time, trust_domain).create(caller, request)
        except (AuthorityError, DirectoryError) as error:
            raise RefusedError("refused", str(error)) from error

    try:
        caller = Caller(node.namespace, node.service_account or "default")
        Directory(directory, time.time())
    except (DirectoryError, ValueError) as error:
        raise ConfigurationError(str(error)) from error
    return FromAuthority(f"in {os.fspath(directory)}", caller.identity(trust_domain()), ask=ask)
