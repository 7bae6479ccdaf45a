"""The files by which a workload and its control plane know each other: token and root certificate."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..xds.identity import bearer
from ..xds.identity.refusals import RefusedError
from .finding import ERROR, GOOD, WARNING, Finding, lasting

AUDIENCE = "istio-ca"
_SOON_S = 7 * 86_400.0
_MOUNT = "mount a projected serviceAccountToken with audience istio-ca there (docs/bootstrap.md, `proxyless inject`)"
_ROOT = "mount the ConfigMap istio-ca-root-cert there (docs/bootstrap.md, `proxyless inject`)"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself; nothing here verifies it."""

    account: tuple[str, str] | None
    audiences: tuple[str, ...]
    issued: float | None
    expires: float | None


def claims(path: str) -> Claims | None:
    """Of the token in a file; None where it is no JSON web token. Raises RefusedError where there is no token."""
    text = bearer.token(path)
    try:
        body: Any = json.loads(urlsafe_b64decode(text.split(".")[1] + "=="))
    except (ValueError, IndexError):
        return None
    if not isinstance(body, dict):
        return None
    said = body.get("aud")
    audiences = tuple(map(str, said)) if isinstance(said, list) else (str(said),) if said else ()
    return Claims(bearer.account_of_token(path), audiences, _moment(body.get("iat")), _moment(body.get("exp")))


def _moment(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def token(path: str, now: float, audience: str = AUDIENCE) -> Iterator[Finding]:
    """Present, for the right audience, in time."""
    if not path:
        yield Finding("token", ERROR, "there is none: the control plane sees an anonymous workload", _MOUNT)
        return
    try:
        said = claims(path)
    except RefusedError as error:
        yield Finding("token", ERROR, str(error), _MOUNT)
        return
    if said is None:
        why = f"{path} holds no JSON web token: the control plane has to know it otherwise"
        yield Finding(
            "token", WARNING, why, "with istiod, mount a service account's token; `proxyless token` makes others"
        )
        return
    if said.audiences and audience not in said.audiences:
        seen = f"{path} is for {', '.join(said.audiences)}, not for {audience}: it is refused"
        yield Finding("token", ERROR, seen, _MOUNT)
        return
    if said.expires is not None and said.expires <= now:
        seen = f"{path} expired {lasting(now - said.expires)} ago: it is refused"
        do = "the kubelet replaces it in a projected volume, but no copy and no subPath mount; or the clock is wrong"
        yield Finding("token", ERROR, seen, do)
        return
    whose = f"of {said.account[0]}/{said.account[1]}" if said.account else "of an unknown account"
    until = f", {lasting(said.expires - now)} left" if said.expires is not None else ", without an end"
    yield Finding("token", GOOD, f"{path}: {whose}, for {', '.join(said.audiences) or 'anybody'}{until}")


def roots(path: str, now: float) -> Iterator[Finding]:
    """Readable, certificates, in time."""
    from cryptography import x509

    if not path:
        yield Finding("root", WARNING, "there is none: the system's authorities verify the control plane", _ROOT)
        return
    try:
        found = x509.load_pem_x509_certificates(bearer.read(path, "root certificate"))
    except RefusedError as error:
        yield Finding("root", ERROR, str(error), _ROOT)
        return
    except ValueError:
        yield Finding("root", ERROR, f"{path} holds no certificate in PEM", _ROOT)
        return
    for each in found:
        name = each.subject.rfc4514_string() or "a root without a name"
        begins, ends = each.not_valid_before_utc.timestamp(), each.not_valid_after_utc.timestamp()
        if now >= ends:
            do = "rotate the authority's root (`proxyless ca`, or Istio's guide), or mend the clock"
            yield Finding("root", ERROR, f"{path}: {name} expired {lasting(now - ends)} ago", do)
        elif now < begins:
            do = "mend the clock of this machine, or of the one that made it"
            yield Finding("root", ERROR, f"{path}: {name} is valid in {lasting(begins - now)}, not yet", do)
        elif ends - now < _SOON_S:
            do = "announce its successor now (`proxyless ca announce`): all have to know it before"
            yield Finding("root", WARNING, f"{path}: {name} ends in {lasting(ends - now)}", do)
        else:
            yield Finding("root", GOOD, f"{path}: {name}, {lasting(ends - now)} left")
