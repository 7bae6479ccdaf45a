"""Load assignments of static clusters, and of those that DNS resolves."""

# ruff: noqa: E501  # Envoy's words are not broken.

from __future__ import annotations

from . import Case
from .build import assigned, endpoint, locality

CASES = [
    Case("empty", assigned()),
    Case(
        "no name",
        assigned(cluster_name=""),
        "ClusterLoadAssignmentValidationError.ClusterName: value length must be at least 1 characters",
    ),
    Case("prio gap", assigned(locality(endpoint()), locality(endpoint(), priority=2))),
    Case("prio 1 only", assigned(locality(endpoint(), priority=1))),
    Case("prio reversed", assigned(locality(endpoint(port=1), priority=1), locality(endpoint(port=2)))),
    Case(
        "prio 129",
        assigned(locality(endpoint(), priority=129)),
        "LocalityLbEndpointsValidationError.Priority: value must be less than or equal to 128",
    ),
    Case(
        "weight 0",
        assigned(locality(endpoint(load_balancing_weight=0))),
        "LbEndpointValidationError.LoadBalancingWeight: value must be greater than or equal to 1",
    ),
    Case(
        "loc weight 0",
        assigned(locality(endpoint(), load_balancing_weight=0)),
        "LocalityLbEndpointsValidationError.LoadBalancingWeight: value must be greater than or equal to 1",
    ),
    Case(
        "weights overflow",
        assigned(locality(endpoint(load_balancing_weight=4294967295), endpoint(port=2, load_balancing_weight=2))),
    ),
    Case(
        "loc weights overflow",
        assigned(
            locality(endpoint(), load_balancing_weight=4294967295), locality(endpoint(port=2), load_balancing_weight=2)
        ),
    ),
    Case(
        "loc weights overflow diff prio",
        assigned(
            locality(endpoint(), load_balancing_weight=4294967295),
            locality(endpoint(port=2), load_balancing_weight=2, priority=1),
        ),
    ),
    Case("dup address", assigned(locality(endpoint(), endpoint()))),
    Case("dup address loc", assigned(locality(endpoint()), locality(endpoint(), locality={"zone": "b"}))),
    Case("health bad", assigned(locality(endpoint(health_status=9)))),
    Case(
        "no host id",
        assigned(locality({})),
        "Address must be set: . Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
    ),
    Case(
        "endpoint_name",
        assigned(locality({"endpoint_name": "a"})),
        "Address must be set: . Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
    ),
    Case(
        "no address",
        assigned(locality({"endpoint": {}})),
        "Address must be set: . Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
    ),
    Case("pipe", assigned(locality({"endpoint": {"address": {"pipe": {"path": "/tmp/x"}}}}))),
    Case(
        "internal",
        assigned(locality({"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": "x"}}}})),
    ),
    Case(
        "named port",
        assigned(
            locality({"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "named_port": "http"}}}})
        ),
        "IP resolver can't handle port specifier type 4. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
    ),
    Case(
        "resolver_name",
        assigned(
            locality(
                {
                    "endpoint": {
                        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1, "resolver_name": "zz"}}
                    }
                }
            )
        ),
        "Unknown address resolver: zz. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
    ),
    Case(
        "udp",
        assigned(
            locality(
                {
                    "endpoint": {
                        "address": {"socket_address": {"protocol": "UDP", "address": "127.0.0.1", "port_value": 1}}
                    }
                }
            )
        ),
    ),
    Case("port 0", assigned(locality(endpoint(port=0)))),
    Case("v6", assigned(locality(endpoint("::1")))),
    Case(
        "v6 bracket",
        assigned(locality(endpoint("[::1]"))),
        "malformed IP address: [::1]. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
    ),
    Case(
        "empty addr",
        assigned(locality(endpoint(""))),
        "SocketAddressValidationError.Address: value length must be at least 1 characters",
    ),
    Case(
        "additional",
        assigned(
            locality(
                {
                    "endpoint": {
                        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}},
                        "additional_addresses": [{"address": {"socket_address": {"address": "::1", "port_value": 1}}}],
                    }
                }
            )
        ),
    ),
    Case(
        "leds",
        assigned({"leds_cluster_locality_config": {"leds_config": {"ads": {}}, "leds_collection_name": "a"}}),
        "LEDS is only supported when EDS is used. Static cluster x cannot use LEDS.",
        differs="a locality without endpoints",
    ),
    Case("lbel", assigned({"load_balancer_endpoints": {"lb_endpoints": [endpoint()]}})),
    Case(
        "lbel + lb",
        assigned({"load_balancer_endpoints": {"lb_endpoints": [endpoint()]}, "lb_endpoints": [endpoint(port=2)]}),
    ),
    Case(
        "drop",
        assigned(
            locality(endpoint()), policy={"drop_overloads": [{"category": "a", "drop_percentage": {"numerator": 10}}]}
        ),
    ),
    Case(
        "drop 2",
        assigned(
            locality(endpoint()),
            policy={"drop_overloads": [{"category": "a", "drop_percentage": {"numerator": 10}}] * 2},
        ),
        "Cluster drop_overloads config has 2 categories. Envoy only support one.",
    ),
    Case(
        "drop no cat",
        assigned(locality(endpoint()), policy={"drop_overloads": [{"drop_percentage": {"numerator": 10}}]}),
        "DropOverloadValidationError.Category: value length must be at least 1 characters",
    ),
    Case(
        "drop 150",
        assigned(
            locality(endpoint()), policy={"drop_overloads": [{"category": "a", "drop_percentage": {"numerator": 150}}]}
        ),
        "Cluster drop_overloads config is invalid. drop_ratio=1.5(Numerator 150 / Denominator 100). The valid range is 0~1.",
    ),
    Case(
        "overprov 0",
        assigned(locality(endpoint()), policy={"overprovisioning_factor": 0}),
        "PolicyValidationError.OverprovisioningFactor: value must be greater than 0",
    ),
    Case(
        "stale 0",
        assigned(locality(endpoint()), policy={"endpoint_stale_after": "0s"}),
        "PolicyValidationError.EndpointStaleAfter: value must be greater than 0s",
    ),
    Case("wph", assigned(locality(endpoint()), policy={"weighted_priority_health": True})),
    Case(
        "named endpoints",
        assigned(
            locality(endpoint()),
            named_endpoints={"a": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}},
        ),
    ),
    Case(
        "hc port",
        assigned(
            locality(
                {
                    "endpoint": {
                        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}},
                        "health_check_config": {"port_value": 70000},
                    }
                }
            )
        ),
        "HealthCheckConfigValidationError.PortValue: value must be less than or equal to 65535",
    ),
    Case("proximity", assigned(locality(endpoint(), proximity=1))),
    Case(
        "metadata",
        assigned(
            locality(
                endpoint(metadata={"filter_metadata": {"envoy.lb": {"a": "b"}}}),
                metadata={"filter_metadata": {"a": {}}},
            )
        ),
    ),
]
