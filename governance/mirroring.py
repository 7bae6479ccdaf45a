"""Mirroring: copies of a request to other clusters, whose answers nobody waits for (envoy source: ShadowWriterImpl).

Decided once for each request, when there is an endpoint for the request itself. The policies of the cluster, the route,
the virtual host or the route table apply: of the first of these that has any. A copy runs in the background
(governance.background, governance.copies).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..xds.model.records import dataclass
from ..xds.model.route import MirrorPolicy
from ..xds.model.values import Fraction
from .actions import Start
from .composition.noting import note
from .headers import HeaderList, joined
from .mutating import Mutation, compile_mutations, mutate
from .request import RequestView

if TYPE_CHECKING:
    from .call import OutgoingCall
    from .cluster import ClusterRuntime
    from .upstream import UpstreamRequest

INTERNAL = (b"x-envoy-internal", b"true")
FORWARDED_FOR = b"x-forwarded-for"


@dataclass(frozen=True, slots=True)
class Copy:
    """A request to send once more."""

    cluster: str
    upstream: UpstreamRequest
    timeout_s: float | None


class Mirror:
    """One policy, ready to be applied."""

    __slots__ = ("_header", "_mutations", "_policy", "_rewrite", "cluster", "fraction")

    def __init__(self, policy: MirrorPolicy) -> None:
        self._policy = policy
        self.cluster = policy.cluster
        self._header = policy.cluster_header.lower().encode()
        self._rewrite = policy.host_rewrite.encode()
        self._mutations: tuple[Mutation, ...] = compile_mutations(policy.mutations)
        self.fraction = policy.fraction if policy.fraction is not None else Fraction(100)

    def cluster_for(self, request: RequestView) -> str:
        """Where the copy goes; a request may name it."""
        return (request.header(self._header) or b"").decode("latin-1") if self._header else self.cluster

    def copy(self, upstream: UpstreamRequest, address: str) -> UpstreamRequest:
        """The request as the copy says it."""
        headers: HeaderList = list(upstream.headers)
        if self._mutations:
            headers = mutate(self._mutations, headers, upstream.view())
        headers.append(INTERNAL)
        headers = joined(headers, FORWARDED_FOR, address.encode())
        return upstream.copied(self._authority(upstream.authority), headers)

    def _authority(self, authority: bytes) -> bytes:
        if self._rewrite:
            return self._rewrite
        if not self._policy.append_shadow_suffix:
            return authority
        host, colon, port = authority.partition(b":")
        return host + b"-shadow" + colon + port


def compile_mirrors(*levels: Sequence[MirrorPolicy]) -> tuple[Mirror, ...]:
    """The policies of the first level that has any."""
    return tuple(Mirror(each) for each in next((level for level in levels if level), ()))


def mirrored(call: OutgoingCall, cluster: ClusterRuntime, upstream: UpstreamRequest) -> Iterator[Start]:
    """The copies of a request."""
    route = call.route
    runtime = call.runtime
    mode = "on" if call.policies is None else call.policies.mirror
    if mode == "off":
        return
    for each in cluster.mirrors or (route.mirrors if route is not None else ()):
        share = each.fraction
        if share.numerator < share.denominator and not share.hit(runtime.draw(share.denominator)):
            continue
        name = each.cluster_for(call.request)
        if name and mode == "shadow":
            note(call, "mirror", "copy")
        elif name:
            yield Start(Copy(name, each.copy(upstream, runtime.options.workload.address), call.timeout_s))
