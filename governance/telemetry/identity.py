"""The certificates of a workload, for metrics and for the status document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...xds.model.identity import IdentityState
from .families import Reading


def identity_gauges(state: IdentityState) -> Iterator[Reading]:
    """What is held now."""
    yield Reading("proxyless_identity_ready", (state.source,), int(state.ready))
    ends: dict[tuple[str, str], float] = {}
    obtained: dict[tuple[str, str], float] = {}
    for each in state.certificates:
        labels: tuple[str, str] = (each.name, each.kind)
        ends[labels] = min(each.not_after, ends.get(labels, each.not_after))
        obtained[labels] = max(each.obtained, obtained.get(labels, each.obtained))
    for labels, moment in ends.items():
        yield Reading("proxyless_certificate_expiration_timestamp_seconds", labels, moment)
        yield Reading("proxyless_certificate_last_rotation_timestamp_seconds", labels, obtained[labels])


def identity_counts(state: IdentityState) -> Iterator[Reading]:
    """What has happened with it."""
    for name, count in state.rotations.items():
        yield Reading("proxyless_certificate_rotations_total", (name,), count)
    for reason, count in state.failures.items():
        yield Reading("proxyless_certificate_failures_total", (reason,), count)


def identity_status(state: IdentityState, now: float) -> dict[str, Any]:
    """Its part of the status document."""
    return {
        "source": state.source,
        "ready": state.ready,
        "generation": state.generation,
        "error": state.error,
        "certificates": [
            {
                "secret": each.name,
                "kind": each.kind,
                "subject": each.subject,
                "issuer": each.issuer,
                "serial": each.serial,
                "not_before": each.not_before,
                "not_after": each.not_after,
                "expires_in_s": round(each.not_after - now, 3),
                "obtained": each.obtained,
                "renews": each.renews,
            }
            for each in state.certificates
        ],
        "rotations": dict(state.rotations),
        "failures": dict(state.failures),
    }
