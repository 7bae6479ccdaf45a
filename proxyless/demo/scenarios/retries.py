"""One of two instances of cart is ill. Its failures are retried at the other one, and callers never hear of them."""

from __future__ import annotations

from collections.abc import Iterator

from ..checks import Check, equal
from ..run import Demo
from ..seen import Counted
from ..shop import cluster_of

CALLS = 40
CART = "GET /cart"
HEALTHY, ILL = "cart-1", "cart-2"


def expects(demo: Demo) -> str:
    del demo
    return f"{CALLS} calls, one after the other: {ILL} fails every second attempt, no caller sees it"


def walk(demo: Demo) -> Iterator[Check]:
    """Round robin over two: every call but perhaps the first meets the ill one, and is made again at the other."""
    before = demo.look()
    tally = demo.load.burst("GET", "/cart", CALLS)
    seen = demo.look().since(before)
    yield equal("callers got", {"200": CALLS}, dict(tally.statuses))
    failed = seen.arrived(ILL, CART)
    tries = attempts(seen.counted[ILL])
    yield Check(
        f"{ILL}: 503 to attempts",
        f"1: {CALLS - 1} or {CALLS}",
        ", ".join(f"{number}: {times}" for number, times in tries.items()) or "none",
        failed in (CALLS - 1, CALLS) and tries == {1: failed},
    )
    wanted = {number: times for number, times in ((1, CALLS - failed), (2, failed)) if times}
    yield equal(f"{HEALTHY}: 200 to attempts", wanted, attempts(seen.counted[HEALTHY]))
    retried = seen.metrics["storefront"].sum("proxyless_retries_total", cluster=cluster_of("cart"))
    yield equal("retries in the metrics", failed or CALLS, int(retried))


def attempts(counted: Counted) -> dict[int, int]:
    """Arrivals by x-envoy-attempt-count."""
    found = {}
    for key, times in counted.attempts.items():
        asked, _, number = key.rpartition(" ")
        if asked == CART:
            found[int(number)] = times
    return dict(sorted(found.items()))
