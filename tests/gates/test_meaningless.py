"""No field that means nothing in process changes a decision: set wherever it can stand, every case of effects sees
the same."""

from __future__ import annotations

import pytest

from proxyless.xds.wire.coverage import rows
from tests.effects.nothing import LOOK, RICH, Key, fill
from tests.effects.registry import Effect, all_effects, effect
from tests.effects.scene import Scene
from tests.effects.seeing import refusals

TLS = "envoy.extensions.transport_sockets.tls.v3."
UNMET = {
    ("envoy.config.endpoint.v3.LbEndpoint", "endpoint_name"),  # it stands in place of an endpoint
    ("envoy.extensions.filters.http.grpc_stats.v3.FilterConfig", "stats_for_all_methods"),  # the allow list is set
    # Others of their oneofs are set.
    (TLS + "DownstreamTlsContext", "disable_stateless_session_resumption"),
    (TLS + "DownstreamTlsContext", "session_ticket_keys_sds_secret_config"),
    (TLS + "SdsSecretConfig.sds_config", "self"),
}


def by_module() -> list[tuple[str, list[Effect]]]:
    found: dict[str, list[Effect]] = {"nothing": [effect("", RICH, LOOK)]}
    for module, case in all_effects():
        if case.see is not refusals:
            found.setdefault(module, []).append(case)
    return list(found.items())


@pytest.mark.parametrize(("module", "cases"), by_module(), ids=lambda each: each if isinstance(each, str) else "")
def test_what_means_nothing_changes_nothing(module: str, cases: list[Effect]) -> None:
    for case in cases:
        messages = case.shop.messages()
        before = case.see(Scene(messages, case.shop.addresses))
        for found in messages.values():
            for each in found:
                fill(each, set())
        after = Scene(messages, case.shop.addresses)
        assert not after.refused, case.name
        assert case.see(after) == before, case.name


def test_every_field_that_means_nothing_was_set_somewhere() -> None:
    meaningless = {(row.message, row.field) for row in rows() if row.kind == "meaningless" and not row.below}
    done: set[Key] = set()
    for case in (case for _, cases in by_module() for case in cases):
        if meaningless - done == UNMET:
            break
        for found in case.shop.messages().values():
            for each in found:
                fill(each, done)
    assert meaningless - done == UNMET
