"""Clocks that disagree: this machine's, the API server's, those that signed token and certificate."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from .finding import ERROR, GOOD, UNKNOWN, WARNING, Finding, lasting

MOST_S = 60.0
"""What Istio's authority forgives twice over: its certificates begin two minutes before they are made."""
ACCOUNT_CA = "var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
_DO = "keep the clocks of nodes by NTP (chrony, systemd-timesyncd): certificates and tokens end by them"


def judged(seconds: float, whose: str) -> Finding:
    """`seconds`: how far this machine is ahead."""
    if abs(seconds) <= MOST_S:
        return Finding("clock", GOOD, f"it agrees with that of {whose} (within {MOST_S:.0f} s)")
    way = "ahead of" if seconds > 0 else "behind"
    return Finding("clock", ERROR, f"this machine is {lasting(abs(seconds))} {way} {whose}", _DO)


def api_server(
    environ: Mapping[str, str], root: Path, clock: Callable[[], float], timeout_s: float
) -> Iterator[Finding]:
    """In a Pod: any answer of the API server has its time, a refusal too."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    authority = root / ACCOUNT_CA
    if not host:
        yield Finding("clock", UNKNOWN, "no API server to compare with: this is no Pod", "run it in the Pod")
        return
    if not authority.exists():
        do = (
            "automountServiceAccountToken: false takes the file away; that is good, and `--kubeconfig` compares instead"
        )
        yield Finding(
            "clock", UNKNOWN, f"the API server's certificate cannot be verified: there is no /{ACCOUNT_CA}", do
        )
        return
    try:
        context = ssl.create_default_context(cafile=os.fspath(authority))
        connection = HTTPSConnection(host, int(port), timeout=timeout_s, context=context)
        connection.request("GET", "/version")
        said = connection.getresponse().getheader("date")
        connection.close()
        if said is None:
            return
        yield judged(clock() - parsedate_to_datetime(said).timestamp(), f"the API server {host}:{port}")
    except (OSError, HTTPException, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        do = "it is not needed to be in the mesh; a NetworkPolicy may forbid it"
        yield Finding("clock", UNKNOWN, f"the API server {host}:{port} is not reached: {why}", do)


def signed(issued: float | None, now: float, what: str) -> Iterator[Finding]:
    """A token or certificate that was made in the future tells of a clock that is behind."""
    if issued is not None and issued - now > MOST_S:
        yield Finding(
            "clock", ERROR, f"{what} is from {lasting(issued - now)} in the future: this machine is behind", _DO
        )


def fresh(begins: float, now: float) -> Iterator[Finding]:
    """A certificate that was made a moment ago begins a moment ago, or up to some minutes before."""
    yield from signed(begins, now, "the certificate that was just issued")
    if now - begins > 900:
        seen = f"the certificate that was just issued began {lasting(now - begins)} ago: this machine is ahead"
        yield Finding("clock", WARNING, seen, _DO)
