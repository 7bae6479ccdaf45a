"""Coverage of load assignments (envoy.config.endpoint.v3)."""

from __future__ import annotations

from collections.abc import Mapping

from .status import Entry, honoured, meaningless, not_yet

ENDPOINT = "envoy.config.endpoint.v3."

BALANCER = "the balancer"
"""governance.balancing: whether these matter depends on all endpoints together, and on the cluster."""

ENDPOINTS: Mapping[str, Entry] = {
    ENDPOINT + "ClusterLoadAssignment": {
        **honoured("cluster_name endpoints policy"),
        **meaningless("nothing refers to them", "named_endpoints"),
    },
    ENDPOINT + "ClusterLoadAssignment.Policy": {
        **honoured("overprovisioning_factor weighted_priority_health drop_overloads"),
        **not_yet("endpoints do not become stale yet", "endpoint_stale_after"),
    },
    ENDPOINT + "ClusterLoadAssignment.Policy.DropOverload": {
        **honoured("drop_percentage"),
        **meaningless("it names the drop in reports of load, which are not made", "category"),
    },
    ENDPOINT + "LocalityLbEndpoints": {
        **honoured("locality lb_endpoints load_balancing_weight priority"),
        **meaningless("nothing that is done looks at it", "metadata"),
        **meaningless("Envoy does not look at it either", "load_balancer_endpoints proximity"),
        **not_yet("endpoints by LEDS never come", "leds_cluster_locality_config"),
    },
    ENDPOINT + "LbEndpoint": {
        **honoured("endpoint health_status metadata load_balancing_weight"),
        **meaningless("an endpoint without an address is refused, named or not, as by Envoy", "endpoint_name"),
    },
    ENDPOINT + "Endpoint.HealthCheckConfig": honoured("port_value hostname address disable_active_health_check"),
    ENDPOINT + "Endpoint": {
        **honoured("address hostname"),
        **meaningless("metrics have names of their own", "observability_name"),
        **honoured("health_check_config"),
        **not_yet("only the first address is dialled", "additional_addresses"),
    },
}
