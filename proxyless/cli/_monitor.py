"""What a control plane says of itself over HTTP: `/ready` for a probe, `/metrics` for Prometheus, `/status` for people.

Everything is read when it is asked for, so it costs nothing in between.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from ..xds.controlplane import Plane
    from ..xds.controlplane.source.cluster import KubernetesSource


class Monitor:
    """Serves from a thread of its own until `stop`. `plane` is set as soon as there is something to serve."""

    def __init__(self, listen: str, cluster: KubernetesSource | None = None) -> None:
        from prometheus_client import CollectorRegistry

        host, port = _parsed(listen)
        self.plane: Plane | None = None
        self._cluster = cluster
        self._registry = CollectorRegistry()
        self._registry.register(self)
        pages: dict[str, Callable[[str], tuple[int, str, bytes]]] = {
            "/ready": self._ready,
            "/metrics": self._metrics,
            "/status": self._status,
        }

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                code, kind, body = page(self.headers.get("accept", "")) if page else (404, "text/plain", b"not found\n")
                self.send_response(code)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Probes and scrapes are no news."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client that went away is no news either."""

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {listen}: {error.strerror}") from error
        self.address = f"http://{host}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="proxyless-monitor", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

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
            status = self.plane.status()
            document |= {"version": status.version, "objects": status.objects}
            document["errors"] = [str(fault) for fault in status.faults]
            document["notes"] = [str(note) for note in self.plane.state.notes]
            document["clients"] = [asdict(client) for client in status.clients]
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


def _parsed(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f'cannot listen on "{listen}": it must be HOST:PORT')
    return host or "0.0.0.0", int(port)
