"""Authorization services (envoy.service.auth.v3.Authorization), over gRPC or over plain HTTP."""

from __future__ import annotations

from ...xds.model.authorization_service import CheckAnswer, CheckQuery
from ...xds.model.ext_authz import HttpAuthorizer
from ...xds.model.filters import GrpcTarget
from ...xds.wire.authorization_service import METHOD, decode_answer, encode_query
from ..actions import Service
from .grpc import Services, Unary
from .http import Connections, HttpService


def authorizer(services: Services, connections: Connections, target: GrpcTarget | HttpAuthorizer) -> Service:
    """The one behind a cluster: asked with a `CheckQuery`, or, over plain HTTP, with an `HttpCheck`."""
    if isinstance(target, HttpAuthorizer):
        return HttpService(services.runtime, connections, target.cluster)
    asked: Unary[CheckQuery, CheckAnswer] = services.unary(target, METHOD, encode_query, decode_answer)
    return asked
