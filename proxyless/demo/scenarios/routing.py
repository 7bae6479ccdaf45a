"""Who gets which version of catalog: by weight, and by a header."""

from __future__ import annotations

from collections.abc import Iterator

from ..chance import CONFIDENCE, Interval, binomial, percent
from ..checks import Check, equal, shown
from ..run import Demo
from ..seen import Sight
from ..shop import host_of

CALLS = 600
TOGETHER = 8
INTERNAL_CALLS = 40
ITEMS = "GET /items"


def shares(weights: dict[str, int], calls: int) -> dict[str, Interval]:
    """How many of the calls each version may get."""
    total = sum(weights.values())
    return {version: binomial(calls, weight / total) for version, weight in weights.items()}


def expects_weights(demo: Demo) -> str:
    weights = " / ".join(map(str, demo.intended.weights.values()))
    return f"{CALLS} calls go to {', '.join(demo.intended.weights)} as {weights}"


def weights(demo: Demo) -> Iterator[Check]:
    """A binomial draw for each version; weight 0 is nothing at all."""
    expected = shares(demo.intended.weights, CALLS)
    before = demo.look()
    tally = demo.load.burst("GET", "/items", CALLS, TOGETHER)
    seen = demo.look().since(before)
    arrived = versions(seen)
    yield Check(
        f"calls by version ({percent(CONFIDENCE)})",
        shown({version: str(interval) for version, interval in expected.items()}),
        shown(arrived),
        all(interval.holds(arrived[version]) for version, interval in expected.items()),
    )
    yield equal("the storefront's metrics", arrived, dict.fromkeys(arrived, 0) | from_metrics(seen))
    yield equal("callers got", {"200": CALLS}, dict(tally.statuses))


def expects_headers(demo: Demo) -> str:
    header, value, version = demo.intended.group
    return f"{INTERNAL_CALLS} calls with {header}: {value} go to {version}"


def headers(demo: Demo) -> Iterator[Check]:
    """Everybody with the header, and nobody else."""
    header, value, version = demo.intended.group
    expected = {each: INTERNAL_CALLS if each == version else 0 for each in demo.intended.weights}
    before = demo.look()
    tally = demo.load.burst("GET", "/items", INTERNAL_CALLS, TOGETHER, headers={header: value})
    seen = demo.look().since(before)
    yield equal("calls by version", expected, versions(seen))
    yield equal("the storefront's metrics", {version: INTERNAL_CALLS}, from_metrics(seen))
    yield equal("callers got", {"200": INTERNAL_CALLS}, dict(tally.statuses))


def versions(seen: Sight) -> dict[str, int]:
    """What the versions of catalog counted themselves."""
    names = [name for name in seen.counted if name.startswith("catalog-")]
    return {name.removeprefix("catalog-"): seen.arrived(name, ITEMS) for name in names}


def from_metrics(seen: Sight) -> dict[str, int]:
    """What the storefront's Prometheus text says of them."""
    return seen.metrics["storefront"].by(
        "destination_canonical_revision",
        "istio_requests_total",
        reporter="source",
        destination_service=host_of("catalog"),
        response_code="200",
    )
