"""The protocol as istiod speaks it: subscriptions, refusals, reconnecting clients, and types that are not served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxyless.governance.telemetry.gauges import version_of
from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.delta import DeltaSession
from proxyless.xds.controlplane.discovery.session import SessionError
from proxyless.xds.controlplane.discovery.sotw import SotwSession
from proxyless.xds.controlplane.identifier import identifier
from proxyless.xds.controlplane.status import client_status
from proxyless.xds.wire.schema import types as pb
from tests.xds.controlplane.support import endpoints, istio, named, service

A, B = (f"outbound|80||{name}.shop.svc.cluster.local" for name in "ab")
NODE = pb.core_v3.Node(id="sidecar~10.9.9.9~x.shop~shop.svc.cluster.local")
DEBUG = ["istio.io/debug/syncz", "istio.io/debug", "networking.istio.io/v1/VirtualService"]
HEALTH = "type.googleapis.com/istio.v1.HealthInformation"


@pytest.fixture
def plane(tmp_path: Path) -> Plane:
    for name in "ab":
        text = service(name, "http:80") + endpoints(name, "http:80", f"10.0.0.{ord(name)}")
        (tmp_path / f"{name}.yaml").write_text(text)
    return Plane(FolderSource(tmp_path), clock=lambda: 0.0)


def sotw(type_: rules.ResourceType | str, *names: str, nonce: str = "", error: str = "") -> Any:
    url = type_ if isinstance(type_, str) else type_.url
    request = pb.discovery_v3.DiscoveryRequest(type_url=url, node=NODE, resource_names=names, response_nonce=nonce)
    if error:
        request.error_detail.message = error
    return request


def delta(type_: rules.ResourceType | str, *names: str, without: tuple[str, ...] = (), nonce: str = "") -> Any:
    url = type_ if isinstance(type_, str) else type_.url
    return pb.discovery_v3.DeltaDiscoveryRequest(
        type_url=url,
        node=NODE,
        resource_names_subscribe=names,
        resource_names_unsubscribe=without,
        response_nonce=nonce,
    )


def sent(responses: list[Any]) -> list[str]:
    return [name for each in responses for name in named(each.resources)]


@pytest.mark.parametrize("kind", [SotwSession, DeltaSession])
@pytest.mark.parametrize("url", DEBUG)
def test_what_is_not_for_workloads_ends_the_stream(plane: Plane, kind: Any, url: str) -> None:
    with pytest.raises(SessionError, match="not for workloads") as caught:
        kind(plane).receive((sotw if kind is SotwSession else delta)(url))
    assert caught.value.status == "PERMISSION_DENIED"


@pytest.mark.parametrize("kind", [SotwSession, DeltaSession])
def test_reports_of_health_and_unknown_types_get_no_answer_and_end_nothing(plane: Plane, kind: Any) -> None:
    session, ask = kind(plane), sotw if kind is SotwSession else delta
    health = ask(HEALTH)
    health.ClearField("node")  # an agent may report before its proxy has said anything
    assert session.receive(health) == []
    assert session.receive(ask("type.googleapis.com/envoy.service.runtime.v3.Runtime")) == []
    assert sent(session.receive(ask(rules.ENDPOINT, A))) == [A]


def test_sotw_unsubscribes_by_naming_nothing_and_may_come_back(plane: Plane, tmp_path: Path) -> None:
    session = SotwSession(plane)
    (first,) = session.receive(sotw(rules.ENDPOINT, A))
    assert session.receive(sotw(rules.ENDPOINT, nonce=first.nonce)) == []
    assert rules.ENDPOINT.url not in session.watches
    (tmp_path / "a.yaml").write_text(service("a", "http:80") + endpoints("a", "http:80", "10.0.0.9"))
    assert plane.poll()
    assert session.changed() == []
    assert sorted(sent(session.receive(sotw(rules.ENDPOINT, A, B, nonce=first.nonce)))) == [A, B]


def test_sotw_ignores_refusals_and_answers_to_what_is_not_the_last_response(plane: Plane) -> None:
    session = SotwSession(plane)
    (first,) = session.receive(sotw(rules.ENDPOINT, A))
    assert session.receive(sotw(rules.ENDPOINT, A, B, nonce=first.nonce, error="no")) == []
    assert session.receive(sotw(rules.ENDPOINT, A, B, nonce="older")) == []
    (status,) = client_status(session).subscriptions
    assert (sorted(status.names), status.state, status.error) == ([A], "ERROR", "no")
    assert sent(session.receive(sotw(rules.ENDPOINT, A, B, nonce=first.nonce))) == [B]


def test_delta_subscribes_and_unsubscribes_beside_its_acknowledgements(plane: Plane, tmp_path: Path) -> None:
    session = DeltaSession(plane)
    (first,) = session.receive(delta(rules.ENDPOINT, A))
    assert client_status(session).subscriptions[0].state == "STALE"
    assert session.receive(delta(rules.ENDPOINT, nonce=first.nonce)) == []
    assert client_status(session).subscriptions[0].state == "SYNCED"
    assert sent(session.receive(delta(rules.ENDPOINT, B))) == [B]
    assert session.receive(delta(rules.ENDPOINT, without=(A,))) == []
    for name in "ab":
        text = service(name, "http:80") + endpoints(name, "http:80", "10.0.1.1")
        (tmp_path / f"{name}.yaml").write_text(text)
    assert plane.poll()
    assert sent(session.changed()) == [B]
    assert sent(session.receive(delta(rules.ENDPOINT, A))) == [A]


def test_what_a_reconnecting_client_holds_and_is_gone_is_named(plane: Plane) -> None:
    session: Any = DeltaSession(plane)
    request = delta(rules.CLUSTER)
    request.initial_resource_versions.update({A: "1", "outbound|80||gone.shop.svc.cluster.local": "1"})
    (response,) = session.receive(request)
    assert A in sent([response])
    assert list(response.removed_resources) == ["outbound|80||gone.shop.svc.cluster.local"]


def test_extensions_are_sent_by_name_and_never_taken_back(plane: Plane, tmp_path: Path) -> None:
    patch = """
        configPatches:
        - applyTo: EXTENSION_CONFIG
          match: {context: SIDECAR_OUTBOUND}
          patch:
            operation: ADD
            value:
              name: one
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer
                max_request_bytes: 5
    """
    (tmp_path / "extension.yaml").write_text(istio("EnvoyFilter", "one", patch))
    assert plane.poll()
    state: Any = SotwSession(plane)
    incremental: Any = DeltaSession(plane)
    assert sent(state.receive(sotw(rules.EXTENSION, "one", "other"))) == ["one"]
    assert sent(incremental.receive(delta(rules.EXTENSION, "one"))) == ["one"]
    (tmp_path / "extension.yaml").unlink()
    assert plane.poll()
    assert [list(each.removed_resources) for each in incremental.changed()] in ([], [[]])


def test_names_are_answered_whatever_names_are_asked_for(plane: Plane) -> None:
    (whole,) = SotwSession(plane).receive(sotw(rules.NAMES))
    (part,) = DeltaSession(plane).receive(delta(rules.NAMES))
    assert len(whole.resources) == len(part.resources) == 1


def test_a_subscription_that_never_got_a_response_says_so(plane: Plane) -> None:
    session = SotwSession(plane)
    assert session.receive(sotw(rules.EXTENSION, "nothing")) == []
    assert client_status(session).subscriptions[0].state == "NOT SENT"


@pytest.mark.parametrize("kind", [SotwSession, DeltaSession])
def test_the_control_plane_says_once_a_stream_who_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    monkeypatch.setenv("POD_NAME", "controller-0")
    (tmp_path / "a.yaml").write_text(service("a", "http:80") + endpoints("a", "http:80", "10.0.0.1"))
    session = kind(Plane(FolderSource(tmp_path), identifier=identifier("1.2.3")))
    ask = sotw if kind is SotwSession else delta
    first, second = (session.receive(ask(type_))[0] for type_ in (rules.CLUSTER, rules.LISTENER))
    said = first.control_plane.identifier
    assert json.loads(said) == {"Component": "proxyless", "ID": "controller-0", "Info": {"version": "1.2.3"}}
    assert version_of(said) == "1.2.3"
    assert not second.HasField("control_plane")
