"""When an authority is asked, and what of its answers is believed; with a clock that the test moves."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from proxyless.xds.identity.certificates import certificates, check_pair
from proxyless.xds.identity.refusals import RefusedError
from proxyless.xds.identity.rotation import Rotation, renewal
from proxyless.xds.identity.secrets import IdentityError, KeyPair
from proxyless.xds.identity.settings import FromAuthority, KeyKind
from tests.support.authorities import sign
from tests.support.certificates import Authority, authority, self_signed, spiffe

SETTINGS = FromAuthority("ca:15012", spiffe("front"))


class Clock:
    def __init__(self) -> None:
        import time

        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Case:
    """A rotation whose authority is a function of the test's."""

    def __init__(self, settings: FromAuthority = SETTINGS) -> None:
        self.root = authority()
        self.clock = Clock()
        self.asked = 0
        self.changes = 0
        self.answer: Callable[[bytes], list[str]] = lambda csr: sign(self.root, csr, 3600)
        self.rotation = Rotation(settings, self._ask, self.clock, lambda: 0.5, self._tell)

    def _ask(self, csr: bytes) -> list[str]:
        self.asked += 1
        return self.answer(csr)

    def _tell(self) -> None:
        self.changes += 1

    @property
    def pair(self) -> KeyPair:
        found = self.rotation.key_pair("default")
        assert isinstance(found, KeyPair)
        return found

    @property
    def roots(self) -> bytes:
        return self.rotation.validation("ROOTCA").roots.inline


def test_the_first_step_brings_a_certificate_and_its_root() -> None:
    case = Case()
    with pytest.raises(IdentityError, match="has not answered yet"):
        case.pair  # noqa: B018  # raises
    settled = [case.rotation.settled]
    case.rotation.step()
    assert [*settled, case.rotation.settled] == [False, True]
    leaf = check_pair(case.pair, "it")
    assert leaf.public_key() is not None
    assert case.roots == case.root.pem
    assert case.changes == 1
    assert len(certificates(case.pair.chain, "it")) == 2
    names = [(each.name, each.kind, each.subject) for each in case.rotation.held()]
    assert names == [("default", "leaf", spiffe("front")), ("ROOTCA", "root", "CN=test authority")]


def test_another_one_is_asked_for_at_half_of_its_lifetime() -> None:
    case = Case()
    case.rotation.step()
    first = case.pair
    case.clock.now += 1795
    case.rotation.step()
    assert case.asked == 1
    case.clock.now += 10
    case.rotation.step()
    assert case.asked == 2
    assert case.pair.key != first.key
    assert case.changes == 2
    assert case.rotation.rotations() == {"default": 1}


@pytest.mark.parametrize(
    ("ratio", "jitter", "draw", "expected"),
    [(0.5, 0, 0.3, 1050.0), (0.5, 0.01, 1.0, 1049.0), (0.5, 0.01, 0.0, 1051.0), (1.0, 0.5, 1.0, 1000.0)],
)
def test_the_moment_of_renewal_moves_a_little(ratio: float, jitter: float, draw: float, expected: float) -> None:
    assert renewal(1000.0, 1100.0, ratio, jitter, lambda: draw) == pytest.approx(expected)


def test_what_has_expired_when_it_comes_counts_from_now() -> None:
    assert renewal(1000.0, 900.0, 0.5, 0.0, lambda: 0.5) == 900.0


def test_while_the_authority_is_away_the_old_one_stays(caplog: pytest.LogCaptureFixture) -> None:
    case = Case()
    case.rotation.step()
    first = case.pair

    def away(csr: bytes) -> list[str]:
        raise RefusedError("unavailable", "it is not reached")

    case.answer, works = away, case.answer
    waits = []
    case.clock.now += 1900
    for _ in range(9):
        wait = case.rotation.step()
        assert wait is not None
        waits.append(wait)
        case.clock.now += wait
        assert case.pair == first
    assert waits == pytest.approx([0.25, 0.5, 1, 2, 4, 8, 15, 15, 15])
    assert case.rotation.failures() == {"unavailable": 9}
    assert case.rotation.error == "it is not reached"
    assert "the one in use is valid for" in caplog.text
    case.answer = works
    case.rotation.step()
    assert case.pair != first
    assert case.rotation.error == ""


def test_what_has_expired_is_said_so(caplog: pytest.LogCaptureFixture) -> None:
    case = Case()
    case.rotation.step()

    def away(csr: bytes) -> list[str]:
        raise RefusedError("unavailable", "it is not reached")

    case.answer = away
    case.clock.now += 4000
    case.rotation.step()
    assert "the one in use has expired" in caplog.text


def broken(kind: str, root: Authority) -> Callable[[bytes], list[str]]:
    def answer(csr: bytes) -> list[str]:
        leaf, own = sign(root, csr)
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        answers: dict[str, list[str]] = {
            "nothing": [],
            "no root": [leaf],
            "garbage": ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", own],
            "no certificate": ["hello", own],
            "no root certificate": [leaf, "hello"],
            "another key": sign(root, csr, public_key=other),
            "another root": [leaf, authority("somebody").pem.decode()],
            "expired": sign(root, csr, -10),
            "self-signed": [self_signed(spiffe("front")).chain.decode(), own],
        }
        return answers[kind]

    return answer


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nothing", "has 0 certificates"),
        ("no root", "has 1 certificates"),
        ("garbage", "holds a certificate that cannot be read"),
        ("no certificate", "holds no certificate in PEM"),
        ("no root certificate", "the root of the answer: holds no certificate in PEM"),
        ("another key", "the private key is not the one of the certificate spiffe://"),
        ("another root", "does not lead to the root that came with it"),
        ("expired", "of the answer has expired"),
        ("self-signed", "the private key is not the one of the certificate"),
    ],
)
def test_an_answer_that_makes_no_sense_is_not_believed(kind: str, reason: str) -> None:
    case = Case()
    case.answer = broken(kind, case.root)
    case.rotation.step()
    assert reason in case.rotation.error
    assert case.rotation.failures() == {"bad_answer": 1}
    assert not case.rotation.settled
    with pytest.raises(IdentityError, match="no certificate for spiffe://"):
        case.pair  # noqa: B018  # raises


def test_a_chain_with_an_intermediate_leads_to_the_root() -> None:
    case = Case()
    between = case.root.intermediate()

    def answer(csr: bytes) -> list[str]:
        leaf, own = sign(between, csr)
        return [leaf, own, case.root.pem.decode()]

    case.answer = answer
    case.rotation.step()
    assert len(certificates(case.pair.chain, "it")) == 3
    assert case.roots == case.root.pem


def test_another_root_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "proxyless.identity")
    case = Case()
    case.rotation.step()
    case.root = authority("the next one")
    case.clock.now += 1900
    case.rotation.step()
    assert case.roots == case.root.pem
    assert case.rotation.rotations() == {"default": 1, "ROOTCA": 1}
    assert "other roots: CN=the next one" in caplog.text


def test_a_bundle_of_roots_is_held_whole() -> None:
    case = Case()
    second = authority("the next one")

    def answer(csr: bytes) -> list[str]:
        leaf, own = sign(case.root, csr)
        return [leaf, second.pem.decode() + own]

    case.answer = answer
    case.rotation.step()
    assert set(certificates(case.roots, "it")) == {case.root.certificate, second.certificate}


def test_another_identity_than_asked_for_is_said(caplog: pytest.LogCaptureFixture) -> None:
    case = Case()
    case.answer = lambda csr: sign(case.root, csr, uri=spiffe("other", domain="corp"))
    case.rotation.step()
    assert case.rotation.held()[0].subject == spiffe("other", domain="corp")
    assert f"asked for {spiffe('front')}, and was given {spiffe('other', domain='corp')}" in caplog.text


def test_where_nobody_gives_certificates_nobody_waits_for_one() -> None:
    case = Case()

    def unserved(csr: bytes) -> list[str]:
        raise RefusedError("unserved", "nobody gives certificates there", final=True)

    case.answer = unserved
    case.rotation.step()
    assert case.rotation.settled
    assert case.changes == 1


def test_other_names_are_not_given() -> None:
    case = Case()
    case.rotation.step()
    with pytest.raises(IdentityError, match="no secret called 'other'"):
        case.rotation.key_pair("other")
    with pytest.raises(IdentityError, match="no secret called 'default'"):
        case.rotation.validation("default")


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        (KeyKind(), b"-----BEGIN PRIVATE KEY-----"),
        (KeyKind(pkcs8=False), b"-----BEGIN EC PRIVATE KEY-----"),
        (KeyKind("EC", "P384"), b"-----BEGIN PRIVATE KEY-----"),
        (KeyKind("RSA", pkcs8=False), b"-----BEGIN RSA PRIVATE KEY-----"),
    ],
)
def test_keys_are_as_wanted(kind: KeyKind, head: bytes) -> None:
    case = Case(FromAuthority("ca:15012", spiffe("front"), key=kind))
    case.rotation.step()
    assert case.pair.key.startswith(head)
    assert b"PRIVATE" not in repr(case.pair).encode()


def test_a_key_that_is_too_short_is_not_made() -> None:
    case = Case(FromAuthority("ca:15012", spiffe("front"), key=KeyKind("RSA", size=1024)))
    case.rotation.step()
    assert "1024 bits" in case.rotation.error
    assert not case.asked
