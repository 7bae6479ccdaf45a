"""The shop on a cluster put to the test, a pod's program: `python -m proxyless.demo.trial canary --share v1=80 ...`.

It calls a storefront by its pod's address, as somebody outside of the mesh, and reads from the Prometheus text of the
pods what the mesh made of it. Pods are found through the API server, by the pod's own account. Exit status: 0 as
expected, 1 not, 2 the shop cannot be asked.
"""

from __future__ import annotations

import argparse
import os
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from .chance import binomial
from .checks import Check, equal
from .intended import Bucket
from .seen import Metrics, UnseenError, fetch, look, metrics
from .shop import Instance, Role

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATIENCE_S = 60.0
LOOK_S = 0.1
MORE = 7
"""Calls beyond those that the breaker lets through."""

QUOTE = "GET /quote"
Find = Callable[[str], list[Instance]]
"""The pods of an app that take requests."""


def canary(find: Find, shares: Mapping[str, int], calls: int) -> Iterator[Check]:
    """Calls to catalog, by the version that answered, from the caller's metrics. Others may call meanwhile."""
    storefront = _one(find, "storefront")
    before = metrics(storefront)
    statuses = _burst(storefront, "GET", "/items", calls, 8)
    yield equal("callers got", {"200": calls}, statuses)
    seen = metrics(storefront).since(before)
    by_version = seen.by(
        "destination_canonical_revision",
        "istio_requests_total",
        reporter="source",
        destination_canonical_service="catalog",
    )
    total = sum(by_version.values())
    yield Check("calls in the metrics", f"{calls} or more", str(total), total >= calls)
    whole = sum(shares.values())
    for version in sorted({*shares, *by_version}):
        bounds = binomial(total, shares.get(version, 0) / whole)
        count = by_version.get(version, 0)
        yield Check(f"of {total} calls to {version}", str(bounds), str(count), bounds.holds(count))


def breaker(find: Find, connections: int, waiting: int) -> Iterator[Check]:
    """Slow calls to checkout, more than may be under way and wait; slow by a gate, which opens when all are placed."""
    storefront, slow = _one(find, "storefront"), find("checkout")
    calls = connections + waiting + MORE
    with ThreadPoolExecutor(calls + connections) as threads:
        try:
            _gate(slow, "close")
            # A call that waits for a connection to open counts as waiting: so they are opened first.
            before = look(slow)
            first = threads.submit(_burst, storefront, "GET", "/quote", connections, connections)
            _until(lambda: sum(look(slow).since(before).arrived(each.name, QUOTE) for each in slow) >= connections)
            _gate(slow, "open")
            first.result(PATIENCE_S)
            _gate(slow, "close")
            overflowed = _places(metrics(storefront))["turned away"]
            burst = threads.submit(_burst, storefront, "GET", "/quote", calls, calls)

            def places() -> dict[str, int]:
                found = _places(metrics(storefront))
                return {**found, "turned away": found["turned away"] - overflowed}

            _until(lambda: sum(places().values()) >= calls)
            held = places()
        finally:
            _gate(slow, "open")
        statuses = burst.result(PATIENCE_S)
    expected = {"active": connections, "waiting": waiting, "turned away": MORE}
    yield equal("while it is slow (metrics)", expected, held)
    yield equal("callers got", {"200": connections + waiting, "503": MORE}, statuses)


def ratelimit(find: Find, orders: int, every_s: int) -> Iterator[Check]:
    """More orders than the buckets of payment's pods hold. A bucket may be less than full: somebody ordered before."""
    storefront, paid = _one(find, "storefront"), find("payment")
    calls = orders * len(paid) + 4
    before = [metrics(each) for each in paid]
    began = time.monotonic()
    statuses = _burst(storefront, "POST", "/checkout", calls, 1)
    passes = len(paid) * Bucket(orders, orders / every_s).passes(calls, time.monotonic() - began)[1]
    refused = sum(
        int(metrics(each).since(earlier).sum("proxyless_rate_limited_total", reporter="destination"))
        for each, earlier in zip(paid, before, strict=True)
    )
    passed = statuses.get("200", 0)
    yield Check("orders that passed", f"at most {passes}", str(passed), passed <= passes)
    yield Check("orders that were refused", "some", str(statuses.get("429", 0)), statuses.get("429", 0) > 0)
    yield equal("refused in payment's metrics", statuses.get("429", 0), refused)
    yield equal("answers of other kinds", 0, calls - passed - statuses.get("429", 0))


def _one(find: Find, app: str) -> Instance:
    found = find(app)
    if not found:
        raise UnseenError(f"no pod of {app} is ready")
    return found[0]


def _burst(instance: Instance, method: str, path: str, calls: int, together: int) -> dict[str, int]:
    limits = httpx.Limits(max_connections=None)
    with (
        httpx.Client(base_url=instance.url, timeout=PATIENCE_S, limits=limits, trust_env=False) as client,
        ThreadPoolExecutor(together) as threads,
    ):
        found = threads.map(lambda _: str(client.request(method, path).status_code), range(calls))
        return dict(Counter(found))


def _gate(instances: list[Instance], what: str) -> None:
    for each in instances:
        fetch(f"{each.admin_url}/gate/{what}", "POST")


def _until(holds: Callable[[], bool]) -> None:
    """Gives up in silence: what holds instead is what the checks say."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(LOOK_S)


def _places(found: Metrics) -> dict[str, int]:
    def of_checkout(name: str, **labels: str) -> int:
        return sum(count for cluster, count in found.by("cluster", name, **labels).items() if "|checkout." in cluster)

    return {
        "active": of_checkout("proxyless_cluster_active_requests"),
        "waiting": of_checkout("proxyless_cluster_pending_requests"),
        "turned away": of_checkout("proxyless_cluster_overflows_total", threshold="pending"),
    }


def of_cluster(namespace: str, port: int, admin: int) -> Find:
    """Asks the API server of the cluster that this is a pod of."""
    host, api_port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    bare = f"[{host}]" if ":" in host else host
    client = httpx.Client(
        base_url=f"https://{bare}:{api_port}/api/v1/namespaces/{namespace}",
        verify=ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt")),
        headers={"authorization": f"Bearer {(ACCOUNT / 'token').read_text().strip()}"},
        timeout=PATIENCE_S,
        trust_env=False,
    )

    def find(app: str) -> list[Instance]:
        answer = client.get("/pods", params={"labelSelector": f"app={app}"}).raise_for_status()
        return [
            Instance(Role(app, pod["metadata"]["name"]), pod["status"]["podIP"], port, admin)
            for pod in answer.json()["items"]
            if any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))
        ]

    return find


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="proxyless.demo.trial", description="is the shop's mesh as it is meant to be")
    parser.add_argument("trial", choices=("canary", "breaker", "ratelimit"))
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--port", type=int, default=8080, help="of the apps")
    parser.add_argument("--admin", type=int, default=15020, help="the port of their metrics")
    parser.add_argument("--share", action="append", type=_share, default=[], metavar="VERSION=WEIGHT")
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--waiting", type=int, default=3)
    parser.add_argument("--orders", type=int, default=6)
    parser.add_argument("--every", type=int, default=60, metavar="SECONDS")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, find: Find) -> Iterator[Check]:
    """The checks of the trial that was asked for."""
    if options.trial == "canary":
        return canary(find, dict(options.share), options.calls)
    if options.trial == "breaker":
        return breaker(find, options.connections, options.waiting)
    return ratelimit(find, options.orders, options.every)


def main(arguments: list[str] | None = None, find: Find | None = None) -> int:
    """The exit status."""
    options = parse(arguments)
    good = True
    try:
        for each in run(options, find or of_cluster(options.namespace, options.port, options.admin)):
            good = good and each.ok
            verdict = "ok" if each.ok else "DIFFERS"
            sys.stdout.write(f"{verdict}: {each.what}: expected {each.expected}; seen {each.seen}\n")
    except (UnseenError, httpx.HTTPError, OSError, KeyError) as error:
        sys.stderr.write(f"the shop cannot be asked: {error!r}\n")
        return 2
    return 0 if good else 1


def _share(text: str) -> tuple[str, int]:
    version, mark, weight = text.partition("=")
    if not (version and mark and weight.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not VERSION=WEIGHT")
    return version, int(weight)


if __name__ == "__main__":
    sys.exit(main())
