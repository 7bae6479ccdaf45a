"""What an API server is told of objects that somebody wants to write."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from proxyless.xds.controlplane.admission import MOST_WARNINGS, NotAReview, answered
from proxyless.xds.controlplane.api.destination_rule import DestinationRule
from tests.xds.controlplane.support import endpoints, istio, service, world

Json = dict[str, Any]
MESH = service("web", "http:80") + endpoints("web", "http:80", "127.0.0.5")
SUBSET = "{hosts: [web], http: [{route: [{destination: {host: web, subset: v9}}]}]}"
NO_SUBSET = (
    'VirtualService shop/x: spec.http[0].route[0].destination.subset "v9" is no subset of '
    "web.shop.svc.cluster.local: no DestinationRule defines any"
)


def of(text: str) -> Json:
    value = yaml.safe_load(text.removeprefix("---\n"))
    assert isinstance(value, dict)
    return value


def review(value: object, operation: str = "CREATE", **request: object) -> Json:
    asked = {"uid": "u-1", "operation": operation, "object": value, **request}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}


def asked(value: object, operation: str = "CREATE", *, strict: bool = False) -> Json:
    document = answered(review(value, operation), world(MESH), strict=strict).document
    assert (document["apiVersion"], document["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = document["response"]
    assert isinstance(response, dict)
    assert response["uid"] == "u-1"
    return response


def test_what_the_control_plane_would_refuse_is_refused_with_field_and_reason() -> None:
    response = asked(
        of(istio("VirtualService", "x", "{hosts: [web], http: [{timeout: 5x, route: [{destination: {host: web}}]}]}"))
    )
    assert not response["allowed"]
    status = response["status"]
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"].startswith("VirtualService shop/x: spec.http[0].timeout must be a duration such as 1.5s")


def test_what_is_right_passes_without_a_word() -> None:
    value = of(istio("VirtualService", "x", "{hosts: [web], http: [{route: [{destination: {host: web}}]}]}"))
    assert asked(value) == {"uid": "u-1", "allowed": True}


def test_how_it_goes_with_others_is_a_warning_and_refused_where_that_is_asked_for() -> None:
    value = of(istio("VirtualService", "x", SUBSET))
    assert asked(value) == {"uid": "u-1", "allowed": True, "warnings": [f"error: {NO_SUBSET}"]}
    response = asked(value, strict=True)
    assert not response["allowed"]
    assert response["status"]["message"] == NO_SUBSET
    assert "warnings" not in response


def test_an_object_that_is_replaced_counts_in_its_new_form_only() -> None:
    before = istio("DestinationRule", "web", "{host: web, subsets: [{name: v1, labels: {a: b}}]}")
    held = world(MESH + before)
    value = of(istio("DestinationRule", "web", "{host: web, subsets: [{name: v2}]}"))
    answer = answered(review(value, "UPDATE"), held)
    assert answer.allowed
    assert answer.document["response"].get("warnings") is None, "it is not its own rival"
    (rule,) = held.of_kind("DestinationRule", DestinationRule)
    assert [subset.name for subset in rule.spec.subsets] == ["v1"], "what is in force stays"


def test_fields_without_effect_and_kinds_that_are_not_read_are_warnings() -> None:
    response = asked(of(istio("Telemetry", "x", "{metrics: [{providers: [{name: prometheus}]}]}")))
    assert response["allowed"]
    assert any("spec.metrics" in each for each in response["warnings"])
    response = asked(of(istio("Gateway", "edge", "{servers: []}")))
    assert response["warnings"] == ["kind Gateway has no effect: it is not read"]


def test_what_is_none_of_ours_or_goes_away_is_let_through() -> None:
    bad = of(istio("VirtualService", "x", "{hosts: 7}"))
    assert asked({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}})["allowed"]
    assert asked(bad, "DELETE")["allowed"]
    assert asked(None, "CREATE")["allowed"]
    leaving = copy.deepcopy(bad)
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert asked(leaving, "UPDATE")["allowed"], "its finalizers have to come off"
    assert not asked(bad, "UPDATE")["allowed"]


def test_an_object_without_a_name_yet_is_told_by_what_its_name_begins_with() -> None:
    value = of(istio("VirtualService", "x", "{hosts: 7}"))
    value["metadata"] = {"generateName": "canary-", "namespace": "shop"}
    assert asked(value)["status"]["message"].startswith("VirtualService shop/canary-?: spec.hosts must be")


def test_many_warnings_are_counted() -> None:
    routes = "".join(
        f"{{match: [{{uri: {{exact: /{at}}}}}], route: [{{destination: {{host: web, subset: n}}}}]}}, "
        for at in range(MOST_WARNINGS + 5)
    )
    response = asked(of(istio("VirtualService", "x", f"{{hosts: [web], http: [{routes}]}}")))
    assert len(response["warnings"]) == MOST_WARNINGS + 1
    assert response["warnings"][-1] == "and 5 more"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "an AdmissionReview is wanted"),
        ({"kind": "Pod"}, "an AdmissionReview is wanted"),
        ({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1"}, "must be [v1]"),
        ({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}, "no request with a uid"),
        ({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {}}, "no request with a uid"),
    ],
)
def test_what_is_no_review_is_said(document: object, said: str) -> None:
    with pytest.raises(NotAReview, match=said.replace("[", r"\[")):
        answered(document, world(MESH))
