"""What the control plane really answers: a mesh of its own, as this workload, for a moment."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ConfigurationError, NotReadyError
from ..xds.identity.bootstrap import Bootstrap
from . import clock
from .finding import ERROR, GOOD, WARNING, Finding, lasting
from .modes import Served, own_modes

Document = dict[str, Any]
_MOST = 10

_REASONS = {
    "unauthenticated": "look at audience (istio-ca) and age of the token, and at the service account: docs/identity.md",
    "permission_denied": "does the authority know this service account? docs/identity.md",
    "unserved": "nobody gives certificates at that address: say CA_ADDR, or PROXYLESS_IDENTITY=none",
    "unavailable": "look at address and network of the authority: docs/identity.md",
    "refused": "look at the key and the lifetime that are asked for: docs/identity.md",
    "bad_answer": "the authority's answer makes no sense: look there",
}


def served(bootstrap: Bootstrap, expected: str, serves: bool, timeout_s: float) -> Iterator[Finding]:
    """ADS, the certificate, what is refused and what has no effect. `expected`: the identity that should come."""
    from ..mesh import Mesh

    try:
        mesh = Mesh._connect(bootstrap, registry=False, cache_dir=False, status_socket=False, checks=False)
    except ConfigurationError as error:
        yield Finding("xds", ERROR, str(error), "docs/bootstrap.md")
        return
    try:
        try:
            mesh.wait_ready(timeout_s)
        except NotReadyError as error:
            yield Finding("xds", ERROR, str(error), "docs/bootstrap.md says what each of these texts asks to look at")
            yield from identity(mesh.status(), bootstrap, expected, time.time())
            return
        from ..cli._asked import want_everything

        want_everything(mesh, timeout_s)
        status = mesh.status()
        yield from _answered(status)
        yield from identity(status, bootstrap, expected, time.time())
        has = bool(leaf(status))
        yield from own_modes(
            Served(_resources(mesh.dump(kind="Listener")), _resources(mesh.dump(kind="Cluster")), has, serves)
        )
        yield from _fields(status)
    finally:
        mesh.close()


def _resources(document: Document) -> list[Document]:
    return [each["resource"] for each in document["dump"] if isinstance(each.get("resource"), dict)]


def _answered(status: Document) -> Iterator[Finding]:
    control = status["control_plane"] or {}
    held = {name.rpartition(".")[2]: each["held"] for name, each in status["resources"].items() if each["held"]}
    yield Finding("xds", GOOD, "it answers: " + ", ".join(f"{count} {name}" for name, count in held.items()))
    yield Finding("versions", GOOD, f"control plane {_named(control.get('identifier') or '')}")
    if not held.get("Cluster"):
        do = "is the namespace right, are there Services, does a Sidecar leave nothing over?"
        yield Finding("xds", WARNING, "it sends no clusters: nothing can be called", do)
    for each in status["rejected"][:_MOST]:
        do = "mend the object that it was made of (`proxyless check`); what was there before stays in force"
        yield Finding("xds", ERROR, f"{each['type']} {each['name']} is refused: {each['reason']}", do)


def _named(identifier: str) -> str:
    """istiod writes JSON there."""
    try:
        said = json.loads(identifier)
        return f"{said['Component']} {said['Info']['version']} ({said['ID']})"
    except (ValueError, KeyError, TypeError):
        return identifier or "does not say what it is"


def leaf(status: Document) -> Document | None:
    """The certificate that this workload shows."""
    found: list[Document] = (status["identity"] or {}).get("certificates") or []
    return next((each for each in found if each["kind"] == "leaf"), None)


def identity(status: Document, bootstrap: Bootstrap, expected: str, now: float) -> Iterator[Finding]:
    """Whether there is a certificate, and whose."""
    said = status["identity"]
    if said is None:
        if bootstrap.identity is None:
            do = "mount a token and use the control plane's port with TLS: docs/identity.md"
            yield Finding("identity", WARNING, "this process has no certificate: what needs mTLS fails", do)
        return
    mine = leaf(status)
    if mine is None:
        failures = list(said["failures"])
        do = next((_REASONS[each] for each in failures if each in _REASONS), _REASONS["unavailable"])
        yield Finding(
            "identity", ERROR, f"no certificate from {said['source']}: {said['error'] or 'none has come'}", do
        )
        return
    text = f"{mine['subject']}, {lasting(mine['expires_in_s'])} left, from {said['source']}"
    if mine["expires_in_s"] <= 0:
        yield Finding("identity", ERROR, f"{text}: expired, and peers refuse it", _REASONS["unavailable"])
    elif expected and mine["subject"] != expected:
        do = "is TRUST_DOMAIN the mesh's, and the token this Pod's own?"
        yield Finding("identity", WARNING, f"{mine['subject']} is not the expected {expected}", do)
    else:
        yield Finding("identity", GOOD, text)
    if mine.get("obtained") and mine["obtained"] > now - 60:
        yield from clock.fresh(mine["not_before"], now)


def _fields(status: Mapping[str, Any]) -> Iterator[Finding]:
    """One finding for each reason: the same field is often in many resources."""
    found: dict[str, list[str]] = {}
    for each in status["not_honoured"]:
        found.setdefault(each["reason"], []).append(f"{each['resource']} {each['field']}")
    for reason, places in found.items():
        do = "docs/fields.md says what takes effect; `proxyless check` names the object"
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        yield Finding("fields", WARNING, f"{reason}: {places[0]}{more}", do)
    if not found:
        yield Finding("fields", GOOD, "everything that this workload is sent takes effect, or means nothing in process")
