"""The metrics of a control plane: Istio's names where Istio has them, with Istio's meaning and buckets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from ..xds.controlplane import Plane
    from ..xds.controlplane.meter import Histogram


def plane_metrics(plane: Plane) -> Iterator[Metric]:
    """Istio's counters have no suffix `_total`, which a counter has here, so that they are of no type."""
    from prometheus_client.core import GaugeMetricFamily, UnknownMetricFamily

    from ..xds.controlplane.discovery.rules import PUSH_ORDER

    meter, status = plane.meter, plane.status()
    urls = {each.label.lower(): each.url for each in PUSH_ORDER}  # by which istiod tells sizes apart
    clients = GaugeMetricFamily("pilot_xds", "Clients that are connected.", labels=["version"])
    versions = Counter(client.istio_version for client in status.clients if client.node)
    for version, count in sorted(versions.items()):
        clients.add_metric([version], count)
    yield clients
    yield GaugeMetricFamily("pilot_services", "Services.", len(plane.state.world.services))
    for name, text, counts in (
        ("pilot_xds_pushes", "Responses that have left.", meter.pushes),
        ("pilot_total_xds_rejects", "Responses that clients have refused.", meter.rejects),
        ("pilot_xds_expired_nonce", "Requests that answer a response that is not the last one.", meter.expired),
    ):
        counter = UnknownMetricFamily(name, text, labels=["type"])
        for type_, number in sorted(counts.copy().items()):
            counter.add_metric([type_], number)
        yield counter
    yield UnknownMetricFamily("pilot_total_xds_internal_errors", "Failures of the control plane itself.", meter.errors)
    yield _histogram(
        "pilot_proxy_convergence_time", "Seconds from a change to a client that has it all.", {"": meter.convergence}
    )
    yield _histogram("pilot_xds_push_time", "Seconds to make and send a response.", meter.push_time.copy())
    yield _histogram(
        "pilot_xds_config_size_bytes",
        "Bytes of responses.",
        {urls[each]: size for each, size in meter.sizes.copy().items()},
    )


def _histogram(name: str, text: str, of: dict[str, Histogram]) -> Metric:
    """By type; the type "" stands for no label."""
    from prometheus_client.core import HistogramMetricFamily

    made = HistogramMetricFamily(name, text, labels=[] if "" in of else ["type"])
    for type_, histogram in sorted(of.items()):
        made.add_metric([type_] if type_ else [], histogram.cumulative(), histogram.total)
    return made
