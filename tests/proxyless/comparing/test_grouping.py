"""Clients that are looked at together see what each sees alone."""

from __future__ import annotations

from pathlib import Path

from proxyless.comparing import compare
from proxyless.comparing.clients import Client
from tests.proxyless.comparing.support import folders, shop
from tests.xds.controlplane.support import istio

PODS = "".join(
    f"""\
---
apiVersion: v1
kind: Pod
metadata: {{name: {app}-{version}, namespace: {namespace}, labels: {{app: {app}, version: {version}}}}}
spec: {{containers: [{{name: c}}]}}
status: {{podIP: 10.1.1.{number}, phase: Running, conditions: [{{type: Ready, status: "True"}}]}}
"""
    for number, (app, version, namespace) in enumerate(
        [("cart", "v1", "shop"), ("cart", "v2", "shop"), ("pay", "v1", "shop"), ("cart", "v1", "bank")], 1
    )
)
ROUTES = (
    "[{match: [{sourceLabels: {app: cart}, uri: {prefix: /a}}], timeout: %s, route: [{destination: {host: web}}]},"
    " {route: [{destination: {host: web, subset: v1}}]}]"
)
PICKED = "{host: web, workloadSelector: {matchLabels: {version: v2}}, trafficPolicy: {connectionPool: {http: %s}}}"
DENIED = "{selector: {matchLabels: {app: pay}}, action: DENY, rules: [{to: [{operation: {paths: [%s]}}]}]}"
SIDECAR = "{workloadSelector: {labels: {app: pay}}, egress: [{hosts: [%s]}]}"


def side(timeout: str, pool: str, path: str, hosts: str) -> str:
    rest = istio("DestinationRule", "picked", PICKED % pool)
    rest += istio("AuthorizationPolicy", "pay", DENIED % path)
    rest += istio("Sidecar", "pay", SIDECAR % hosts)
    return shop(ROUTES % timeout, rest=PODS + rest)


def test_together_and_alone(tmp_path: Path) -> None:
    old = side("2s", "{http2MaxRequests: 5}", "/a", '"*/*"')
    new = side("1s", "{http2MaxRequests: 3}", "/b", '"bank/*"')
    paths = folders(tmp_path, old, new)
    together = compare(*paths)
    alone = {
        (client.name, client.labels, change.key)
        for client in together.everybody
        for group in compare(*paths, [node_of(client)]).groups
        for change in group.changes
    }
    assert alone == {
        (client.name, client.labels, change.key)
        for group in together.groups
        for client in group.clients
        for change in group.changes
    }
    kinds = {each.document["policy"] for group in together.groups for each in group.of("policies")}
    assert {"authorization", "breaker"} <= kinds
    assert together.looked.kinds == len(together.everybody) == 5


def test_who_is_told_nothing_new_is_passed_over(tmp_path: Path) -> None:
    sides = [side("2s", "{http2MaxRequests: 5}", path, '"*/*"') for path in ("/a", "/b")]
    looked = compare(*folders(tmp_path, *sides)).looked
    assert (looked.compared, looked.alike, looked.untouched) == (1, 0, 4)
    same = compare(*folders(tmp_path, sides[0], sides[0])).looked
    assert same.untouched == same.kinds


def node_of(client: Client) -> str:
    labels = ",".join(f"label.{name}={value}" for name, value in client.labels)
    return f"app={client.app},namespace={client.namespace},ip={client.old.ip},pod={client.old.pod},{labels}"
