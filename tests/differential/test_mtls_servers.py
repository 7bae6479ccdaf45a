"""Servers behind mTLS, by Envoy and by us: who gets in, who the app is told that it is, how others are turned away.

What comes through says who the client is byte for byte as behind an Envoy with the same recorded chain; what fails,
fails in the same way for the client (the real Envoy, with istiod's cluster), and none of it comes through.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.differential.secured import BLOCKING, SPOKEN, XFCC, Caller, Header, Place, World
from tests.differential.test_jwt_payment import KEY
from tests.differential.test_mtls import HALF
from tests.support.certificates import authority, self_signed, spiffe
from tests.support.envoy import require

pytestmark = pytest.mark.envoy

CA, OTHER = authority(), authority("another")
MID = CA.intermediate()
LEDGER, CALLER = spiffe("ledger", "bank"), spiffe("frontend")
ME, SERVER, PAYMENT = CA.workload("frontend"), CA.workload("ledger", "bank"), CA.workload("payment")
DETAILS = {"subject": True, "dns": True, "uri": True}
EVERYTHING = {"set_current_client_cert_details": {**DETAILS, "cert": True, "chain": True}}
TOLD_BY_FORMATS = (
    *("PEER_URI_SAN", "PEER_DNS_SAN", "PEER_SUBJECT", "PEER_ISSUER", "PEER_SERIAL", "PEER_FINGERPRINT_256"),
    *("PEER_FINGERPRINT_1", "PEER_CHAIN_FINGERPRINTS_256", "PEER_CHAIN_FINGERPRINTS_1", "PEER_CERT"),
    *("PEER_IP_SAN", "PEER_EMAIL_SAN", "PEER_CHAIN_SERIALS", "PEER_CERT_V_START", "PEER_CERT_V_END"),
    *("PEER_CERT_V_START(%s)", "PEER_CERT_V_END(%b %e %H:%M:%E3S %Y %Z)", "LOCAL_IP_SAN", "LOCAL_EMAIL_SAN"),
    *(
        "LOCAL_SUBJECT",
        "LOCAL_URI_SAN",
        "LOCAL_DNS_SAN",
        "TLS_VERSION",
    ),  # which cipher is agreed on is the TLS library's choice
)
FORMATTED = {
    "key": XFCC,
    "value": " ".join(f"{name.partition('(')[0]}=%DOWNSTREAM_{name}%" for name in TOLD_BY_FORMATS),
}
FORMATS = {
    "route_config": {
        "name": "inbound|8080||",
        "virtual_hosts": [
            {
                "name": "a",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "inbound|8080||"}}],
                "request_headers_to_add": [{"header": FORMATTED, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
            }
        ],
    }
}
"""The app is told by formats, in the same header."""
BY_12 = {"tls_maximum_protocol_version": "TLSv1_2"}

PLACES = {
    "ledger": Place("ledger", SERVER),
    "payment": Place("payment", PAYMENT),
    "disabled": Place("payment", PAYMENT, plaintext_only=True, inspected=False),
    "disabled inspected": Place("payment", PAYMENT, plaintext_only=True),
    "disabled bare": Place("payment", PAYMENT, plaintext_only=True, inspected=False, bare=True),
    "everything": Place("ledger", CA.leaf(LEDGER, spiffe("second", "bank")), EVERYTHING),
    "formats": Place("payment", CA.leaf(spiffe("payment"), dns=["a.b", "c.d"]), FORMATS),
    "set": Place("ledger", SERVER, {"forward_client_cert_details": "SANITIZE_SET"}),
    "forward": Place("ledger", SERVER, {"forward_client_cert_details": "FORWARD_ONLY"}),
    "always": Place("payment", PAYMENT, {"forward_client_cert_details": "ALWAYS_FORWARD_ONLY"}),
    "sanitize": Place("ledger", SERVER, {"forward_client_cert_details": "SANITIZE"}),
    "shows other domain": Place("ledger", CA.workload("ledger", "bank", "other.domain")),
    "shows other san": Place("ledger", CA.workload("other", "bank")),
    "shows expired": Place("ledger", CA.leaf(LEDGER, ends=-HALF)),
    "shows not yet valid": Place("ledger", CA.leaf(LEDGER, starts=HALF)),
    "shows rotated": Place("ledger", OTHER.workload("ledger", "bank")),
    "shows self-signed": Place("ledger", self_signed(LEDGER)),
}
GOOD = {
    "me": Caller(ME),
    "checkout": Caller(CA.workload("checkout")),
    "intermediate": Caller(MID.workload("frontend")),
    "named": Caller(CA.leaf(CALLER, dns=["a.shop", "127.0.0.9", "*.b.shop"], name="front end")),
    "odd": Caller(CA.leaf(CALLER, spiffe("second"), name='O="a, b"+c;d=e\\f, é')),
    "two": Caller(CA.leaf(CALLER, "https://a/?q=x;y,z")),
    "tls 1.2": Caller(ME, params=BY_12),
}
BAD = {
    "none": Caller(None),
    "other domain": Caller(CA.workload("frontend", domain="other.domain")),
    "other san": Caller(CA.leaf(dns=["frontend.shop"], name="frontend.shop")),
    "no san": Caller(CA.leaf(name="frontend")),
    "expired": Caller(CA.leaf(CALLER, ends=-HALF)),
    "not yet valid": Caller(CA.leaf(CALLER, starts=HALF)),
    "rotated": Caller(OTHER.workload("frontend")),
    "self-signed": Caller(self_signed(CALLER)),
    "of a server": Caller(CA.leaf(CALLER, client=False)),
}
BY_TLS_12 = {f"{name} by 1.2": Caller(each.certificate, params=BY_12) for name, each in BAD.items()}
TOLD = {f"{name} by 1.2" for name in ("none", "expired", "rotated", "self-signed", "of a server")}
"""Those whom the server's alert tells the reason while they still wait for the handshake; OpenSSL chooses it for us."""
PLAIN = Caller(None, tls=False)
CALLERS = {**GOOD, **BAD, **BY_TLS_12, "plaintext": PLAIN}

THROUGH = [
    *((place, who) for place in ("ledger", "everything") for who in GOOD),
    *((place, who) for place in ("set", "forward", "always", "sanitize", "payment") for who in ("me", "named")),
    *((place, "plaintext") for place in ("payment", "always", "disabled", "disabled inspected", "disabled bare")),
    ("payment", "checkout"),
    *(("formats", who) for who in (*GOOD, "plaintext")),
]
REFUSED = [
    *((place, who) for place in ("ledger", "payment") for who in (*BAD, *BY_TLS_12)),
    ("ledger", "plaintext"),
    ("disabled", "me"),
    ("disabled inspected", "me"),
    ("disabled bare", "me"),
    *((name, "me") for name in PLACES if name.startswith("shows ")),
]
SENT: tuple[tuple[Header, ...], ...] = (
    (),
    ((XFCC, "By=spiffe://a/b;Hash=00;URI=spiffe://c/d"),),
    ((XFCC, "By=one"), (XFCC, 'Hash=1,By=two;Subject="x, y"')),
    ((XFCC, ""),),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require()
    calls = {each: CALLERS[each[1]] for each in dict.fromkeys([*THROUGH, *REFUSED])}
    with World(tmp_path_factory.mktemp("servers"), CA, PLACES, calls) as made:
        yield made


@pytest.mark.parametrize(("place", "who"), THROUGH, ids=lambda each: each)
def test_the_app_is_told_of_the_client_as_behind_envoy(world: World, place: str, who: str) -> None:
    for sent in SENT:
        theirs = {each: world.ask(place, who, "envoy", each, "GET", "/healthz", *sent) for each in ("h1", "h2")}
        for kind, spoken in SPOKEN:
            ours = world.ask(place, who, kind, spoken, "GET", "/healthz", *sent)
            assert ours == theirs[spoken], (kind, spoken, sent)
            assert (ours.status, ours.flags, len(ours.arrived)) == (200, "-", 1)
            assert ours.protocol == {"h1": "HTTP/1.1", "h2": "HTTP/2"}[spoken]


@pytest.mark.parametrize(("place", "who"), THROUGH, ids=lambda each: each)
def test_a_blocking_server_lets_in_whom_envoy_lets_in(world: World, place: str, who: str) -> None:
    theirs = world.ask(place, who, "envoy", "h1", "GET", "/healthz")
    ours = world.ask(place, who, BLOCKING, "h1", "GET", "/healthz")
    assert (ours.status, ours.flags, ours.protocol) == (theirs.status, theirs.flags, theirs.protocol)
    assert (ours.status, len(ours.arrived)) == (200, 1)


@pytest.mark.parametrize(("place", "who"), REFUSED, ids=lambda each: each)
def test_the_client_is_turned_away_as_by_envoy(world: World, place: str, who: str) -> None:
    for kind, spoken in (*SPOKEN, (BLOCKING, "h1")):
        theirs = world.ask(place, who, "envoy", spoken)
        ours = world.ask(place, who, kind, spoken)
        assert (ours.status, ours.flags, ours.arrived) == (theirs.status, theirs.flags, theirs.arrived), (kind, theirs)
        assert (ours.status, ours.arrived) == (503, ())
        assert who not in TOLD or ours.failure == theirs.failure, kind


def test_the_recorded_policies_decide_by_the_certificate_and_the_token(world: World) -> None:
    claims = {"iss": "https://issuer.example", "sub": "user-1", "exp": int(time.time()) + 3600}
    admin = ("authorization", f"Bearer {KEY.token({**claims, 'role': 'admin'})}")
    late = ("authorization", f"Bearer {KEY.token({**claims, 'exp': 1})}")
    claimed = (XFCC, f"By=x;Hash=0;URI={spiffe('checkout')}")
    statuses = set()
    for who in ("checkout", "me", "plaintext"):
        for method, path, *sent in (
            ("POST", "/pay"),
            ("POST", "/pay", claimed),
            ("POST", "/refund/1"),
            ("GET", "/pay"),
            ("GET", "/x", admin),
            ("GET", "/x", late),
            ("GET", "/admin/x", admin, ("x-debug", "1")),
        ):
            theirs = {each: world.ask("payment", who, "envoy", each, method, path, *sent) for each in ("h1", "h2")}
            for kind, spoken in SPOKEN:
                ours = world.ask("payment", who, kind, spoken, method, path, *sent)
                assert ours == theirs[spoken], (kind, who, method, path)
                statuses.add((who, path, ours.status))
    assert {status for _, _, status in statuses} == {200, 401, 403}
    assert ("checkout", "/pay", 200) in statuses
    assert ("me", "/pay", 200) not in statuses
