"""What a control plane says of itself over HTTP: `/ready` for a probe, `/metrics` for Prometheus, `/status` for people.

Everything is read when it is asked for, so it costs nothing in between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .._listening import Listening, QuietHandler, QuietServer
from ._plane_metrics import plane_metrics
from ._plane_status import plane_document

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from ..controller.webhook import Webhook
    from ..xds.controlplane import Plane
    from ..xds.controlplane.source.cluster import KubernetesSource
    from ._controller import Leading


class Monitor:
    """Serves from a thread of its own until `stop`. `plane` is set as soon as there is something to serve."""

    def __init__(self, listen: str, cluster: KubernetesSource | None = None) -> None:
        from prometheus_client import CollectorRegistry

        self.plane: Plane | None = None
        self.webhook: Webhook | None = None
        self.leading: Leading | None = None
        self._cluster = cluster
        self._registry = CollectorRegistry()
        self._registry.register(self)
        pages: dict[str, Callable[[str], tuple[int, str, bytes]]] = {
            "/ready": self._ready,
            "/metrics": self._metrics,
            "/status": self._status,
        }

        class Handler(QuietHandler):
            timeout = 10

            def do_GET(self) -> None:  # noqa: N802  # what http.server calls
                page = pages.get(self.path.partition("?")[0])
                code, kind, body = page(self.headers.get("accept", "")) if page else (404, "text/plain", b"not found\n")
                self.say(code, kind, body)

        listening = Listening(listen, lambda address: QuietServer(address, Handler), "proxyless-monitor")
        self.address = f"http://{listening.authority}"
        self.stop = listening.stop

    def _ready(self, _: str) -> tuple[int, str, bytes]:
        if self.plane is not None:
            return 200, "text/plain", b"ready\n"
        waiting = [each.kind for each in self._cluster.status() if not each.synced] if self._cluster else []
        return 503, "text/plain", f"not ready: {', '.join(waiting) or 'it begins'}\n".encode()

    def _metrics(self, accept: str) -> tuple[int, str, bytes]:
        from prometheus_client.exposition import choose_encoder

        encode, kind = choose_encoder(accept)
        return 200, kind, encode(self._registry)

    def _status(self, _: str) -> tuple[int, str, bytes]:
        document: dict[str, Any] = {"ready": self.plane is not None}
        if self._cluster is not None:
            kinds = [{**asdict(each), "restarts": dict(each.restarts)} for each in self._cluster.status()]
            document |= {"api_server": self._cluster.url, "kinds": kinds}
        if self.plane is not None:
            document |= plane_document(self.plane)
        if self.webhook is not None:
            document["webhook"] = {"address": self.webhook.address, "reviews": dict(self.webhook.counts())}
        if self.leading is not None:
            election = self.leading.election
            document["leader"] = {
                "leading": election.leading,
                "replica": election.identity,
                "holder": election.holder,
                "error": election.error,
                "duties": [asdict(each) for each in self.leading.duties.status()],
            }
        return 200, "application/json", json.dumps(document, indent=1).encode()

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        yield GaugeMetricFamily("proxyless_serve_ready", "Whether clients are served.", float(self.plane is not None))
        if self.plane is not None:
            status = self.plane.status()
            held = GaugeMetricFamily("proxyless_serve_objects", "Objects in force.", labels=["kind"])
            for kind, count in status.objects.items():
                held.add_metric([kind], count)
            yield held
            yield GaugeMetricFamily("proxyless_serve_errors", "What is refused or cannot be read.", len(status.faults))
            yield GaugeMetricFamily("proxyless_serve_clients", "Streams that are open.", len(status.clients))
            rejected = sum(client.rejected for client in status.clients)
            yield GaugeMetricFamily("proxyless_serve_rejected", "Responses that open streams have refused.", rejected)
            yield from plane_metrics(self.plane)
        if self.webhook is not None:
            reviews = CounterMetricFamily("proxyless_webhook_reviews", "Reviews answered.", labels=["outcome"])
            for outcome, count in self.webhook.counts().items():
                reviews.add_metric([outcome], count)
            yield reviews
        if self.leading is not None:
            yield from _leading(self.leading)
        if self._cluster is None:
            return
        condition = GaugeMetricFamily(
            "proxyless_kubernetes_kind_condition", "The condition of a kind: 1.", labels=["kind", "condition"]
        )
        synced = GaugeMetricFamily("proxyless_kubernetes_kind_synced", "Whether it was listed.", labels=["kind"])
        refused = GaugeMetricFamily("proxyless_kubernetes_objects_refused", "Objects at fault.", labels=["kind"])
        lists = CounterMetricFamily("proxyless_kubernetes_lists", "Complete lists.", labels=["kind"])
        watches = CounterMetricFamily("proxyless_kubernetes_watches", "Watches opened.", labels=["kind"])
        failures = CounterMetricFamily(
            "proxyless_kubernetes_failures", "Lists and watches that failed.", labels=["kind", "reason"]
        )
        for each in self._cluster.status():
            condition.add_metric([each.kind, each.condition], 1)
            synced.add_metric([each.kind], each.synced)
            refused.add_metric([each.kind], each.refused)
            lists.add_metric([each.kind], each.lists)
            watches.add_metric([each.kind], each.watches)
            for reason, count in each.restarts:
                failures.add_metric([each.kind, reason], count)
        yield from (condition, synced, refused, lists, watches, failures)


def _leading(of: Leading) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    yield GaugeMetricFamily("proxyless_leader", "Whether this replica writes.", float(of.election.leading))
    condition = GaugeMetricFamily(
        "proxyless_duty_condition", "The condition of a duty: 1.", labels=["duty", "condition"]
    )
    writes = CounterMetricFamily("proxyless_duty_writes", "Objects written.", labels=["duty"])
    for each in of.duties.status():
        condition.add_metric([each.name, each.condition], 1)
        writes.add_metric([each.name], each.written)
    yield from (condition, writes)
