"""The recorded chain of `payment` with tokens of a key that we have: JWT, then authorization by what they say."""

from __future__ import annotations

import time

import pytest

from tests.differential.conftest import SHOP
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig
from tests.differential.test_inbound import ask_app, plain
from tests.support import envoy
from tests.support.behaviour import Headers
from tests.support.tokens import key_set, signer

pytestmark = pytest.mark.envoy

JWT, LIMIT = "envoy.filters.http.jwt_authn", "envoy.filters.http.local_ratelimit"
KEY = signer("RS256")


def filters_of(value: object, name: str) -> list[Resource]:
    """The configurations of a filter, wherever it stands."""
    found: list[Resource] = []
    if isinstance(value, dict):
        if value.get("name") == name and "typed_config" in value:
            found.append(value["typed_config"])
        for each in value.values():
            found += filters_of(each, name)
    elif isinstance(value, list):
        for each in value:
            found += filters_of(each, name)
    return found


def without(value: object, name: str) -> None:
    """Take a filter out."""
    if isinstance(value, list):
        value[:] = [each for each in value if not (isinstance(each, dict) and each.get("name") == name)]
        for each in value:
            without(each, name)
    elif isinstance(value, dict):
        for each in value.values():
            without(each, name)


def test_the_recorded_chain_takes_real_tokens() -> None:
    envoy.require()
    recording = Recording.load(SHOP / "payment")
    issuers = set()
    for held in recording.listeners.values():
        without(held, LIMIT)
        for config in filters_of(held, JWT):
            for provider in config["providers"].values():
                issuers.add(provider["issuer"])
                provider["local_jwks"] = {"inline_string": key_set(KEY)}
    (issuer,) = issuers
    now = int(time.time())
    good = {"iss": issuer, "sub": "user-1", "aud": "payment", "exp": now + 3600, "scope": "read pay", "role": "admin"}
    tokens = [
        *(KEY.token({**good, **more}) for more in ({}, {"exp": now - 3600}, {"iss": "else"}, {"sub": "nobody"})),
        *(KEY.token({**good, "groups": groups}) for groups in ("admin", ["admin", "shop"])),
        signer("ES256").token(good),
        "x.y.z",
    ]
    sent: list[tuple[str, Headers]] = [
        (path, headers)
        for path in ("/", "/pay", "/charge", "/admin/x", "/healthz")
        for headers in ((), *((("authorization", f"Bearer {each}"),) for each in tokens))
    ]
    with Rig(recording, listener="virtualInbound") as rig, mesh_on(rig.recording) as mesh:
        met = set()
        for path, headers in sent:
            seen = rig.send("GET", path, *headers, host="app", to=("127.0.14.1", 8080))
            arrived = plain(seen.arrivals[0].headers) if seen.arrivals else ()
            theirs = (seen.response.status, arrived, plain(seen.response.headers))
            assert ask_app(mesh, path, headers) == theirs, (path, headers)
            met.add(seen.response.status)
    assert met == {200, 401, 403}
