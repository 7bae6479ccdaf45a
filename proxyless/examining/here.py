"""This process' own place: run where the program runs, with its environment and its files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..xds.identity.bootstrap import NOT_IN_THE_CLEAR, PLAINTEXT_TOKEN, Bootstrap, BootstrapError
from ..xds.identity.environment import from_environment
from ..xds.identity.refusals import RefusedError
from ..xds.identity.settings import FromAuthority
from . import clock, credentials, sidecar
from .finding import ERROR, GOOD, WARNING, Finding
from .modes import TLS_LABEL
from .reaching import Target, reach
from .served import served
from .versions import switches, versions


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is looked. `root` stands in for the file system's root in tests; `now` is Unix time."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    root: Path = Path("/")
    now: Callable[[], float] = time.time
    timeout_s: float = 10.0


def examine(place: Place) -> Iterator[Finding]:
    """Everything, in the order in which a process would meet it."""
    yield from versions()
    yield from switches(place.environ)
    try:
        bootstrap = from_environment(place.environ, place.root)
    except BootstrapError as error:
        yield Finding("environment", ERROR, str(error), "docs/bootstrap.md lists the variables")
        return
    yield from _placed(bootstrap)
    said = _claims(bootstrap.token_file)
    tokens = list(credentials.token(bootstrap.token_file, place.now())) if bootstrap.tls else []
    roots = list(credentials.roots(bootstrap.root_cert, place.now())) if bootstrap.tls else []
    if not bootstrap.tls:
        do = "use port 15012 where this is no laptop"
        tokens = [
            Finding("tls", WARNING, f"{bootstrap.address} is spoken to in plaintext, and no certificate comes", do)
        ]
    yield from (*tokens, *roots, *_in_the_clear(bootstrap))
    reached = list(reach(Target(bootstrap.address, bootstrap.tls, bootstrap.root_cert), place.timeout_s))
    yield from reached
    annotations = bootstrap.node.metadata.get("ANNOTATIONS")
    if not any(each.level == ERROR for each in reached):
        serves = bootstrap.node.labels.get(TLS_LABEL) == "istio"
        yield from served(bootstrap, _expected(bootstrap, said, place.environ), serves, place.timeout_s)
    yield from clock.signed(said.issued if said else None, place.now(), "the token")
    yield from clock.api_server(place.environ, place.root, place.now, place.timeout_s)
    yield from sidecar.beside(annotations if isinstance(annotations, dict) else {})


def _in_the_clear(bootstrap: Bootstrap) -> Iterator[Finding]:
    """A certificate authority without TLS, and a token that is for it."""
    authority = bootstrap.identity
    if not isinstance(authority, FromAuthority) or authority.tls or not authority.token_file:
        return
    do = "CA_ADDR: use port 15012, or another with TLS"
    if authority.token_in_the_clear:
        yield Finding("token", WARNING, f"{authority.said}: {PLAINTEXT_TOKEN}", do)
    else:
        yield Finding("token", ERROR, f"{authority.said}: {NOT_IN_THE_CLEAR}", do)


def _claims(path: str) -> credentials.Claims | None:
    try:
        return credentials.claims(path) if path else None
    except RefusedError:
        return None


def _placed(bootstrap: Bootstrap) -> Iterator[Finding]:
    node = bootstrap.node
    for each in bootstrap.warnings:
        if "is not there" not in each:  # files have findings of their own
            yield Finding("environment", WARNING, each, "docs/bootstrap.md")
    if not node.ip or not node.pod:
        do = "set POD_NAME, POD_NAMESPACE and INSTANCE_IP by the downward API (docs/bootstrap.md, `proxyless inject`)"
        lacking = " and ".join(name for name, held in (("INSTANCE_IP", node.ip), ("POD_NAME", node.pod)) if not held)
        yield Finding("environment", WARNING, f"{lacking} missing: istiod does not know which Pod this is", do)
    if not node.labels:
        do = "mount the downward API's labels at /etc/istio/pod (docs/bootstrap.md, `proxyless inject`)"
        yield Finding("environment", WARNING, "no labels: no policy that selects this workload holds for it", do)
    if node.ip and node.pod and node.labels:
        yield Finding("environment", GOOD, f"{node.id}, control plane {bootstrap.address}")


def _expected(bootstrap: Bootstrap, said: credentials.Claims | None, environ: Mapping[str, str]) -> str:
    """The identity that a certificate should have; empty where nothing says so."""
    account = said.account if said is not None else None
    if account is None and bootstrap.node.service_account:
        account = (bootstrap.node.namespace, bootstrap.node.service_account)
    if account is None:
        return ""
    domain = environ.get("TRUST_DOMAIN") or "cluster.local"
    return f"spiffe://{domain}/ns/{account[0]}/sa/{account[1]}"
