"""The two kinds of generated cases, as what shrinking and printing need of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

from google.protobuf import json_format

from proxyless.xds.model.resource import ResourceError
from proxyless.xds.wire.codec import DECODERS
from proxyless.xds.wire.decode.route_configuration import inline_configuration
from proxyless.xds.wire.refused import RefusedError
from proxyless.xds.wire.schema import pool
from proxyless.xds.wire.schema import types as pb
from tests.differential.case import Case
from tests.differential.generated.shrinking import Path
from tests.differential.keyed import Asked
from tests.differential.keyed import Case as Keyed
from tests.differential.recording import Resource
from tests.differential.requests import Request
from tests.support.model import CLUSTER

HOSTS, REQUESTS = 0, 1
KEPT = ("name", "type", "@type", "load_assignment", "cluster_name", "address", "endpoint", "hash_policy")
"""What a cluster, its endpoints and its route have to have."""

REFUSED = (json_format.ParseError, RefusedError, ResourceError)


def _table_is_sound(fields: Resource) -> bool:
    try:
        message = json_format.ParseDict(fields, pb.route_v3.RouteConfiguration(), descriptor_pool=cast("Any", pool()))
        for host in inline_configuration(message).virtual_hosts:
            host.value()
    except REFUSED:
        return False
    return True


class Table:
    """A route table and one request: [hosts, requests, table, manager]."""

    def document(self, case: Case) -> Any:
        asked = [[r.method, r.url, [list(each) for each in r.headers], r.body.decode("latin-1")] for r in case.requests]
        return copy.deepcopy([list(case.hosts), asked, case.table, case.manager])

    def case(self, document: Any) -> Case:
        hosts, asked, table, manager = document
        requests = [
            Request(method, url, tuple((name, value) for name, value in headers), body.encode("latin-1"))
            for method, url, headers, body in asked
        ]
        return Case(tuple(hosts), tuple(requests), table, manager)

    def acceptable(self, case: Case) -> bool:
        return _table_is_sound({"name": "case", "virtual_hosts": list(case.hosts), **case.table})

    def droppable(self, path: Path) -> bool:
        if len(path) == 1 or path[0] == REQUESTS:
            return path[0] == REQUESTS and len(path) == 4  # a header
        return not (path[0] == HOSTS and len(path) == 3 and path[-1] in ("name", "domains", "routes"))

    def shorter(self, text: str, path: Path) -> Iterator[str]:
        if path[0] == REQUESTS and len(path) == 3 and path[2] == 0:
            yield from ("GET",) if text != "GET" else ()
        elif path[0] == REQUESTS and len(path) == 3 and path[2] == 1:
            yield from (each for each in ("http://case.test/", text.partition("?")[0]) if len(each) < len(text))
        elif (path[0] == REQUESTS and len(path) == 5) or path[-1] == "value":  # a header, what a mutation says
            yield from _pieces(text)


class Keys:
    """A cluster, the action of its route, and one request: [cluster, action, route, headers, path]."""

    def document(self, case: tuple[Keyed, Asked]) -> Any:
        keyed, asked = case
        return copy.deepcopy([keyed.cluster, keyed.action, keyed.route, [list(h) for h in asked.headers], asked.path])

    def case(self, document: Any) -> tuple[Keyed, Asked]:
        cluster, action, route, headers, path = document
        return Keyed(cluster, action, route), Asked(tuple((name, value) for name, value in headers), path)

    def acceptable(self, case: tuple[Keyed, Asked]) -> bool:
        cluster = case[0].cluster
        action = {"cluster": "x", **case[0].action}
        host = {"name": "x", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": action}]}
        try:
            message = json_format.ParseDict(cluster, pb.cluster_v3.Cluster(), descriptor_pool=cast("Any", pool()))
            DECODERS[CLUSTER](message.SerializeToString())
        except REFUSED:
            return False
        return _table_is_sound({"name": "case", "virtual_hosts": [host]})

    def droppable(self, path: Path) -> bool:
        if path[0] == 3:
            return len(path) == 2
        return len(path) > 1 and path[-1] not in KEPT

    def shorter(self, text: str, path: Path) -> Iterator[str]:
        if path[0] == 3 and path[-1] == 1:
            yield from _pieces(text)


def _pieces(text: str) -> Iterator[str]:
    if len(text) > 1:
        yield from dict.fromkeys((text[: len(text) // 2], text[len(text) // 2 :], text[:-1]))
