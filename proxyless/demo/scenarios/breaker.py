"""More slow calls at once than checkout may have: the rest is turned away at once and never reaches it.

Checkout's answers are held back by a gate, so that nothing depends on how fast this machine is: first its connections
are opened by as many calls as it may have of them, then all calls come, and when each of them is somewhere the gate
opens. (A call that waits for a connection to open counts as waiting: docs/envoy-facts.md, "Thresholds".)
"""

from __future__ import annotations

from collections.abc import Iterator

from ..checks import Check, equal
from ..run import Demo
from ..seen import metrics
from ..shop import cluster_of, host_of

CALLS = 12
QUOTE = "GET /quote"
CHECKOUT = "checkout"
PATIENCE_S = 20.0


def expects(demo: Demo) -> str:
    connections, waiting = demo.intended.breaker
    through = connections + waiting
    return (
        f"{CALLS} slow calls at once, {connections} connections, {waiting} may wait: {through} x 200, {CALLS - through}"
        " x 503"
    )


def walk(demo: Demo) -> Iterator[Check]:
    """Exact: the figures of the real Envoy."""
    connections, waiting = demo.intended.breaker
    through = connections + waiting
    demo.gate(CHECKOUT, opened=False)
    try:
        _open_connections(demo, connections)
        demo.gate(CHECKOUT, opened=False)
        before = demo.look()
        burst = demo.load.begin("GET", "/quote", CALLS, CALLS)

        def settled() -> bool:
            return sum(_places(demo, overflowed).values()) >= CALLS

        overflowed = _overflows(demo)
        demo.until(settled, PATIENCE_S)
        held = _places(demo, overflowed)
        at_checkout = demo.look().since(before).arrived(CHECKOUT, QUOTE)
    finally:
        demo.gate(CHECKOUT, opened=True)
    tally = demo.load.result(burst)
    seen = demo.look().since(before)
    yield equal(
        "while it is slow (metrics)",
        {"active": connections, "waiting": waiting, "turned away": CALLS - through},
        held,
    )
    yield equal("then at checkout", connections, at_checkout)
    yield equal("callers got", {"200": through, "503": CALLS - through}, dict(tally.statuses))
    yield equal("calls that reached checkout", through, seen.arrived(CHECKOUT, QUOTE))
    flags = seen.metrics["storefront"].by(
        "response_flags", "istio_requests_total", reporter="source", destination_service=host_of(CHECKOUT)
    )
    yield equal("flags in the metrics", {"-": through, "UO": CALLS - through}, flags)


def _open_connections(demo: Demo, count: int) -> None:
    before = demo.look()
    burst = demo.load.begin("GET", "/quote", count, count)
    demo.until(lambda: demo.look().since(before).arrived(CHECKOUT, QUOTE) >= count, PATIENCE_S)
    demo.gate(CHECKOUT, opened=True)
    demo.load.result(burst)


def _overflows(demo: Demo) -> float:
    name = "proxyless_cluster_overflows_total"
    return metrics(demo.storefront).sum(name, cluster=cluster_of(CHECKOUT), threshold="pending")


def _places(demo: Demo, overflowed: float) -> dict[str, int]:
    """Where the calls are, from the storefront's Prometheus text."""
    text = metrics(demo.storefront)
    cluster = cluster_of(CHECKOUT)
    refused = text.sum("proxyless_cluster_overflows_total", cluster=cluster, threshold="pending") - overflowed
    return {
        "active": int(text.sum("proxyless_cluster_active_requests", cluster=cluster)),
        "waiting": int(text.sum("proxyless_cluster_pending_requests", cluster=cluster)),
        "turned away": int(refused),
    }
