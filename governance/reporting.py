"""What a try says of its endpoint to outlier detection (envoy source: Filter::updateOutlierDetection)."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from .actions import Action, BodyEnd, Discard, Failure, Head
from .balancing.host import Host
from .checking.answers import IMMEDIATE
from .checking.checker import Checker
from .cluster import ClusterRuntime
from .composition.falling import fall_back_from
from .composition.own import come_back
from .internal_redirects import Redirected
from .outliers.matching import DEGRADED, status_of, view_of
from .outliers.monitor import HostMonitor
from .replies import LocalReply

if TYPE_CHECKING:
    from .call import OutgoingCall

_NOT_THE_HOSTS = frozenset({"timeout", "caller"})
"""How a response can be cut that says nothing about the host."""


def deliver(
    call: OutgoingCall, head: Head, host: Host | None
) -> Generator[Action, Any, LocalReply | Redirected | None]:
    """The response goes to the caller, unless a policy of the user's has another; a body that is cut may say something
    of the endpoint."""
    policies = call.policies
    if policies is not None and policies.fallbacks and call.bypass is None:
        other = yield from fall_back_from(call, policies, head)
        if other is not None:
            return other
    action = call.deliver(head)
    if policies is not None and policies.own:
        reply = yield from come_back(call, head)
        if reply is not None:
            yield Discard(head)
            return reply
    delivered(call, host, (yield action))
    return None


def delivered(call: OutgoingCall, host: Host | None, end: BodyEnd) -> None:
    """The caller has the body, or as much of it as there was."""
    call.finished(end)
    if not end.complete and host is not None and host.state.monitor is not None and end.kind not in _NOT_THE_HOSTS:
        host.state.monitor.result("connect-failed")


def report(monitor: HostMonitor, result: Head | Failure, call: OutgoingCall, cluster: ClusterRuntime) -> None:
    """Tell outlier detection what came of a request that was sent (envoy source: Filter::updateOutlierDetection)."""
    if isinstance(result, Failure):
        if result.kind == "timeout":
            monitor.result("timeout", 504)
        else:
            monitor.result("connect-failed")
        return
    request = call.request
    is_grpc = request.is_grpc
    if not is_grpc and cluster.is_error is None and not monitor.detector.config.detect_degraded_hosts:
        monitor.status(result.status)  # nothing in its headers counts
        return
    view = view_of(result.status, result.headers)
    monitor.status(
        status_of(view, is_grpc=is_grpc, is_error=cluster.is_error),
        degraded=DEGRADED in view.headers,
    )


def heed(checker: Checker, host: Host, result: Head | Failure) -> None:
    """A host may ask in any response to be left out, until it has passed active health checks again."""
    if isinstance(result, Head) and any(name.lower() == IMMEDIATE for name, _ in result.headers):
        checker.fail_at_once(host.address)
