"""What is not honoured is logged once for each resource, when it is first used."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from proxyless import Mesh
from proxyless.cli._url import parse_url
from proxyless.governance.explain import dry_call
from proxyless.governance.plan import Plan
from proxyless.governance.telemetry.notes import LOOK_EVERY, ConfigurationLog, not_honoured, subjects
from proxyless.xds.model.values import Note
from tests.xds.controlplane.support import SHOP

FIELD = "a_field_that_nobody_honours"
CART = "outbound|80||cart.shop.svc.cluster.local"


@pytest.fixture
def mesh(mesh_of: Callable[..., Mesh]) -> Mesh:
    return mesh_of(registry=False)


def use(mesh: Mesh, url: str) -> str:
    """Use the cluster that a call leads to, and say that a field of it is not honoured; its name."""
    call, _ = dry_call(mesh.runtime, "GET", parse_url(url), [])
    assert call.cluster is not None
    call.cluster.notes = (Note(call.cluster.name, FIELD, "nobody has built it"),)
    return call.cluster.name


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if FIELD in each.getMessage()]


def test_a_field_is_named_when_what_holds_it_comes_into_use(mesh: Mesh, caplog: pytest.LogCaptureFixture) -> None:
    log = ConfigurationLog()
    with caplog.at_level(logging.WARNING, "proxyless.configuration"):
        log.tick(mesh._facts())
        assert not said(caplog)
        use(mesh, "http://cart.shop/")
        log.tick(mesh._facts())
    assert said(caplog) == [f"not honoured in {CART}: {FIELD}: nobody has built it"]


def test_nothing_is_said_twice(mesh: Mesh, caplog: pytest.LogCaptureFixture) -> None:
    use(mesh, "http://cart.shop/")
    log = ConfigurationLog()
    with caplog.at_level(logging.WARNING, "proxyless.configuration"):
        for _ in range(3 * LOOK_EVERY):
            log.tick(mesh._facts())
        use(mesh, "http://cart.shop/")
        log.look(mesh.runtime.plan)
    assert len(said(caplog)) == 1
    messages = [each.getMessage() for each in caplog.records]
    assert len(set(messages)) == len(messages)


def test_resources_that_ask_for_the_same_share_a_line(mesh: Mesh, caplog: pytest.LogCaptureFixture) -> None:
    names = {use(mesh, f"http://{host}/") for host in ("cart.shop", "payment.shop", "frontend.shop", "checkout.shop")}
    names |= {use(mesh, "http://checkout.shop/beta"), use(mesh, "http://inventory.example.com:8080/")}
    assert len(names) == 6
    with caplog.at_level(logging.WARNING, "proxyless.configuration"):
        ConfigurationLog().tick(mesh._facts())
    [line] = said(caplog)
    assert sum(name in line for name in names) == 5
    assert " and 1 more: " in line


def test_everything_is_looked_at_now_and_then_even_if_nothing_seems_to_change(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ConfigurationLog()
    log.tick(mesh._facts())
    looked: list[Plan] = []
    monkeypatch.setattr(log, "look", looked.append)
    for _ in range(LOOK_EVERY):
        log.tick(mesh._facts())
    assert looked == [mesh.runtime.plan]


def test_the_status_document_has_the_same_notes(mesh: Mesh) -> None:
    use(mesh, "http://cart.shop/")
    note = Note(CART, FIELD, "nobody has built it")
    assert note in not_honoured(mesh.runtime.plan)
    assert {"resource": note.resource, "field": note.field, "reason": note.reason} in mesh.status()["not_honoured"]


def test_the_inbound_listener_of_a_program_that_only_calls_is_nobodys() -> None:
    with Mesh.from_recorded(SHOP / "xds" / "payment", registry=False) as mesh:
        plan = mesh.runtime.plan
        plan.snapshot.listeners["virtualInbound"].get()
        assert not [each.key for each in subjects(plan) if "virtualInbound" in each.key]
        plan.inbound(8080, "127.0.0.1")
        assert [each.key for each in subjects(plan) if "virtualInbound" in each.key]
