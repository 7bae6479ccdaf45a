"""What the filters of a mesh ask: names of hosts, and services over gRPC, which is imported when the first one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .governance.actions import Told
from .governance.runtime import Runtime
from .xds.model.filters import GrpcTarget
from .xds.transport.resolver import NameService

if TYPE_CHECKING:
    from .governance.services.grpc import Services


def give_services(runtime: Runtime) -> None:
    """Let the calls of a mesh ask what they have to."""
    runtime.resolver = NameService()
    runtime.rate_limiter = services_of(runtime)


def services_of(runtime: Runtime) -> Callable[[GrpcTarget], Told]:
    """What `Runtime.rate_limiter` is."""
    made: list[Services] = []

    def rate_limiter_of(target: GrpcTarget) -> Told:
        from .governance.services.grpc import Services
        from .governance.services.rate_limit import rate_limiter

        if not made:
            made.append(Services(runtime))
            runtime.on_reset = made[0].close
        return rate_limiter(made[0], target)

    return rate_limiter_of
