"""Connection managers, each with other options than istiod's: one listener a port, all on the same routes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from tests.differential.bootstrap import HCM
from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.mutations import add
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.support.behaviour import Headers

ADDRESS = "10.7.0.9"
NODE: Resource = {
    "id": f"sidecar~{ADDRESS}~client.shop~shop.svc.cluster.local",
    "cluster": "client.shop",
    "metadata": {"NAMESPACE": "shop", "LABELS": {"app": "client"}},
}
"""Who asks: not from loopback, in whose place Envoy would put an address of the machine."""

FIRST_PORT = 9001
BACKENDS = {name: (f"127.0.20.{number}", 80) for number, name in enumerate("ab", 1)}
ANY: Resource = {"prefix": "/"}

FOR: tuple[Headers, ...] = tuple(
    (("x-forwarded-for", value),) for value in ("10.1.1.1", "8.8.8.8", "1.2.3.4, 10.1.1.1", "10.1.1.1,no", "", "::1")
)
STEERING: Headers = (
    ("x-envoy-internal", "true"),
    ("x-envoy-decorator-operation", "own"),
    ("x-envoy-downstream-service-cluster", "own"),
    ("x-envoy-ip-tags", "own"),
    ("x-envoy-original-url", "own"),
    ("x-only", "inside"),
)
OWN: Headers = (
    ("x-forwarded-for", "10.1.1.1"),
    ("x-envoy-upstream-alt-stat-name", "own"),
    ("x-envoy-retriable-status-codes", "500"),
    ("x-envoy-retriable-header-names", "x-a"),
)
TIMED: tuple[Headers, ...] = (
    (("x-envoy-upstream-rq-timeout-ms", "7000"), ("x-envoy-expected-rq-timeout-ms", "5")),
    (("x-envoy-upstream-rq-timeout-ms", "0"), ("x-envoy-upstream-stream-duration-ms", "9000")),
    (("x-envoy-upstream-rq-per-try-timeout-ms", "6000"), ("x-envoy-upstream-rq-timeout-alt-response", "")),
    (("x-envoy-upstream-rq-per-try-timeout-ms", "600000"), ("x-envoy-max-retries", "x")),
    (("x-envoy-upstream-rq-per-try-timeout-ms", "6000"), ("x-envoy-hedge-on-per-try-timeout", "true")),
    (("x-envoy-retry-on", "5xx"), ("x-envoy-retry-grpc-on", "internal"), ("x-envoy-max-retries", "2")),
)
"""What an internal request steers by: none of it is passed on."""
SENT: tuple[Headers, ...] = ((), *FOR, STEERING, *((*STEERING, *each) for each in FOR[:3]))
IDS: tuple[Headers, ...] = tuple(
    (("x-request-id", value),) for value in ("word", "", "01234567-89ab-4cde-8fab-0123456789ab")
)
PROTOS: tuple[Headers, ...] = tuple((("x-forwarded-proto", value),) for value in ("https", "http", "ftp"))
PORTS: tuple[Headers, ...] = ((("x-forwarded-port", "99"),),)
HOSTS: tuple[Headers, ...] = tuple(
    (("host", value),)
    for value in (
        *("plain.test", "plain.test.", "plain.test:PORT", "plain.test:80", "plain.test.:PORT", "plain.test:x"),
        *("plain.test:", "[::1]:PORT", "[::1]", "PLAIN.test:PORT", "ported.test:81", "other"),
    )
)
BY_HEADER: tuple[Headers, ...] = ((), *((("x-vhost", name),) for name in ("plain.test", "PLAIN.test:80", "", "other")))
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
QUIET: Resource = {
    "http_filters": [
        {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER, "suppress_envoy_headers": True}}
    ]
}
INSIDE: Resource = {"internal_address_config": {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}}
ELSEWHERE: Resource = {"internal_address_config": {"cidr_ranges": [{"address_prefix": "8.0.0.0", "prefix_len": 8}]}}
REMOTE: Resource = {"use_remote_address": True}


@dataclass(frozen=True, slots=True)
class Manager:
    """Fields of an HttpConnectionManager, and the requests that show what they do. `table` is that of `TABLES`.

    Requests are marked, since their ids need not be unique.
    """

    fields: Mapping[str, object]
    sent: Sequence[Headers] = ((),)
    targets: Sequence[str] = ("/",)
    table: str = "80"
    authority: str = "any.test"
    port: int = 0
    marked: bool = True


def _common(**fields: object) -> Resource:
    return {"common_http_protocol_options": fields}


MANAGERS: dict[str, Manager] = {
    "as istiod": Manager({}, (*SENT, *IDS, *PROTOS)),
    "internal": Manager(INSIDE, SENT),
    "remote": Manager(REMOTE, (*SENT, *IDS, *PROTOS, *PORTS)),
    "remote, internal": Manager({**REMOTE, **INSIDE}, (*SENT, *IDS)),
    "remote, others internal": Manager({**REMOTE, **ELSEWHERE}, SENT),
    "remote, skip": Manager({**REMOTE, "skip_xff_append": True, **INSIDE}, SENT),
    "remote, 1 hop": Manager({**REMOTE, "xff_num_trusted_hops": 1, **ELSEWHERE}, (*SENT, *PROTOS)),
    "remote, 2 hops": Manager({**REMOTE, "xff_num_trusted_hops": 2}, SENT),
    "1 hop": Manager({"xff_num_trusted_hops": 1, **INSIDE}, SENT),
    "remote, port": Manager({**REMOTE, "append_x_forwarded_port": True}, ((), *PORTS)),
    "port": Manager({"append_x_forwarded_port": True}, ((), *PORTS)),
    "remote, 1 hop, port": Manager(
        {**REMOTE, "append_x_forwarded_port": True, "xff_num_trusted_hops": 1}, ((), *PORTS)
    ),
    "no ids": Manager({"generate_request_id": False}, ((), *IDS)),
    "ids kept": Manager({**REMOTE, "preserve_external_request_id": True}, ((), *IDS)),
    "no ids at the edge": Manager({**REMOTE, "generate_request_id": False}, ((), *IDS)),
    "user agent": Manager({"add_user_agent": True}, ((), (("user-agent", "own"),), STEERING)),
    "via": Manager({"via": "mesh"}, ((), (("via", "1.1 other"),))),
    "ids in responses": Manager({"always_set_request_id_in_response": True}, IDS),
    "ids and via in responses": Manager({"always_set_request_id_in_response": True, "via": "mesh"}, IDS),
    "scheme": Manager({"scheme_header_transformation": {"scheme_to_overwrite": "https"}}, ((), *PROTOS)),
    "scheme, plain": Manager({"scheme_header_transformation": {"scheme_to_overwrite": "http"}}, ((), *PROTOS)),
    "proto by port": Manager({"forward_proto_config": {"https_destination_ports": [9021]}}, ((), *PROTOS), port=9021),
    "proto by other port": Manager({**REMOTE, "forward_proto_config": {"https_destination_ports": [1]}}, ((), *PROTOS)),
    "certificate kept": Manager(
        {"forward_client_cert_details": "ALWAYS_FORWARD_ONLY"}, ((("x-forwarded-client-cert", "Hash=1"),),)
    ),
    "underscores refused": Manager(
        _common(headers_with_underscores_action="REJECT_REQUEST"), ((), (("x_a", "1"),), (("x-a", "_"),))
    ),
    "underscores dropped": Manager(
        _common(headers_with_underscores_action="DROP_HEADER"), ((), (("x_a", "1"), ("x-b", "1")), (("x-a", "_"),))
    ),
    "few headers": Manager(
        _common(max_headers_count=5),
        tuple(tuple((f"x-{n}", "1") for n in range(many)) for many in (3, 4, 5, 6)),
        marked=False,
    ),
    "small headers": Manager(
        {"max_request_headers_kb": 1}, tuple((("x-a", "a" * size),) for size in (940, 960, 970, 980, 990, 1000))
    ),
    "quiet": Manager(QUIET, (*IDS, STEERING), targets=("/", "/new", "/none")),
    "by header": Manager({}, BY_HEADER, table="82"),
    "without parameters": Manager({}, targets=("/away;x", "/a;x/away", "/;/away"), table="83"),
    "strip any port": Manager({"strip_any_host_port": True}, HOSTS, table="81"),
    "strip own port": Manager({"strip_matching_host_port": True}, HOSTS, table="81"),
    "strip dot": Manager({"strip_trailing_host_dot": True}, HOSTS, table="81"),
    "strip all": Manager({"strip_trailing_host_dot": True, "strip_any_host_port": True}, HOSTS, table="81"),
    "ports stay": Manager({}, HOSTS, table="81"),
    "internal, steering": Manager(INSIDE, tuple((*OWN, *each) for each in TIMED)),
}


def _hosts() -> list[Resource]:
    """What is seen at the end of a chain, and a way for each port that a domain may say."""
    seen = {"request_headers_to_add": [add("x-seen", "%REQ(:authority)%|%REQ(x-forwarded-proto)%|%REQ(:scheme)%")]}
    new: Resource = {
        "match": {"prefix": "/new"},
        "route": {"cluster": "a", "prefix_rewrite": "/newer", "host_rewrite_literal": "other"},
    }
    none: Resource = {"match": {"prefix": "/none"}, "route": {"cluster": "none"}}
    away: Resource = {"match": {"prefix": "/away"}, "redirect": {"host_redirect": "moved.test"}}
    return [
        host(away, new, none, route(ANY, "a", **seen), domains=("*",), name="any", include_request_attempt_count=True),
        host(route(ANY, "b", **seen), domains=("plain.test",), name="plain"),
        host(route(ANY, "b", **seen), domains=("ported.test:81",), name="ported"),
    ]


TABLES: dict[str, Resource] = {
    "80": {"internal_only_headers": ["x-only"]},
    "81": {"ignore_port_in_host_matching": False},
    "82": {"vhost_header": "x-vhost"},
    "83": {"ignore_path_parameters_in_path_matching": True},
}


def configuration(base: Recording, managers: Mapping[str, Manager] = MANAGERS) -> tuple[Recording, list[Request]]:
    """All managers at once, and the requests for each."""
    clusters = [cluster(name, address) for name, address in BACKENDS.items()]
    result = custom(base, _hosts(), clusters, **TABLES["80"])
    result.node = copy.deepcopy(NODE)
    for name, fields in TABLES.items():
        result.routes[name] = {**copy.deepcopy(result.routes["80"]), "name": name, **fields}
    template = result.listeners["0.0.0.0_80"]
    requests: list[Request] = []
    for port, manager in _ports(managers):
        listener = copy.deepcopy(template)
        listener["name"] = f"0.0.0.0_{port}"
        listener["address"]["socket_address"]["port_value"] = port
        for chain in (*listener.get("filter_chains", ()), listener.get("default_filter_chain", {})):
            for each in chain.get("filters", ()):
                if each["name"] == HCM:
                    config = each["typed_config"]
                    config.update(manager.fields)
                    config["rds"]["route_config_name"] = manager.table
        result.listeners[listener["name"]] = listener
        requests += _requests(manager, port)
    return result, requests


def _ports(managers: Mapping[str, Manager]) -> list[tuple[int, Manager]]:
    return [(each.port or FIRST_PORT + number, each) for number, each in enumerate(managers.values())]


def _requests(manager: Manager, port: int) -> list[Request]:
    made: list[Request] = []
    for target, headers in product((*manager.targets, "/away"), manager.sent):
        named = tuple((name, value.replace("PORT", str(port))) for name, value in headers)
        if manager.marked:
            named = (*named, ("x-mark", f"{port}-{len(made)}"))
        made.append(Request("GET", f"http://{manager.authority}:{port}{target}", named))
    return made
