"""Tokens for requests: well made, and wrong in one of the ways that somebody might try. Each way has a name."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.support.tokens import Json, Signer, encoded, signer

ISSUERS = ("https://one.example", "https://two.example", "three")
AUDIENCES = ("https://shop.example/", "shop.example", "http://other.example", "plain")


@dataclass(frozen=True)
class Wanted:
    """What a token is made for: who signs it, and what its claims are when nothing is wrong."""

    signer: Signer
    claims: Json
    draw: Random

    def signed(self, header: Json | bytes | None = None, payload: Json | bytes | None = None) -> str:
        """A token of these parts, or of those that are right."""
        return self.signer.token(self.claims if payload is None else payload, header)

    def saying(self, *without: str, **claims: Any) -> str:
        """A token with other claims, or without some."""
        return self.signed(
            None, {name: each for name, each in {**self.claims, **claims}.items() if name not in without}
        )

    def header(self, *without: str, **members: Any) -> Json:
        """The right header with other members, or without some."""
        own = {"alg": self.signer.algorithm, "kid": self.signer.jwk["kid"], "typ": "JWT", **members}
        return {name: each for name, each in own.items() if name not in without}

    def parts(self) -> list[str]:
        """A good token in its parts."""
        return self.signed().split(".")


def now() -> int:
    return int(time.time())


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def _confused(wanted: Wanted) -> str:
    """What is public of a key taken for a shared secret."""
    own = wanted.signer
    secret = str(own.jwk.get("n") or own.jwk.get("x") or own.jwk.get("k")).encode()
    shared = Signer("HS256", secret, {"kid": own.jwk["kid"]})
    return shared.token(wanted.claims)


def _flipped(part: str, at: int) -> str:
    other = "A" if part[at] != "A" else "B"
    return part[:at] + other + part[at + 1 :]


def _joined(wanted: Wanted, header: str | None = None, payload: str | None = None, signature: str | None = None) -> str:
    own = wanted.parts()
    return ".".join(
        given if given is not None else each for given, each in zip((header, payload, signature), own, strict=True)
    )


def _raw(wanted: Wanted, payload: str) -> str:
    """A payload as it stands, signed."""
    return wanted.signed(None, payload.encode())


def _about(wanted: Wanted) -> str:
    """The claims as the inside of a JSON object."""
    return json.dumps(wanted.claims)[1:-1]


Way = Callable[[Wanted], str]

WAYS: dict[str, Way] = {
    "good": lambda w: w.signed(),
    "expired": lambda w: w.saying(exp=now() - 3600),
    "expired within the skew": lambda w: w.saying(exp=now() - 25),
    "expired beyond the skew": lambda w: w.saying(exp=now() - 95),
    "not yet valid": lambda w: w.saying(nbf=now() + 3600),
    "not yet valid within the skew": lambda w: w.saying(nbf=now() + 25),
    "without an end": lambda w: w.saying("exp"),
    "an end of 0": lambda w: w.saying(exp=0),
    "a long life": lambda w: w.saying(exp=now() + 10**6),
    "a short life": lambda w: w.saying(exp=now() + 600),
    "an end with a fraction": lambda w: w.saying(exp=now() + 3600.75),
    "an end as text": lambda w: w.saying(exp=str(now() + 3600)),
    "an end below 0": lambda w: w.saying(exp=-5),
    "an end beyond 64 bits": lambda w: w.saying(exp=2**64),
    "an end in scientific form": lambda w: _raw(w, json.dumps({**w.claims, "exp": "?"}).replace('"?"', "4e9")),
    "an end beyond doubles": lambda w: _raw(w, "{" + _about(w) + ',"extra":1e999}'),
    "a start as text": lambda w: w.saying(nbf="1"),
    "a start below 0": lambda w: w.saying(nbf=-1),
    "issued as text": lambda w: w.saying(iat="1"),
    "issued below 0": lambda w: w.saying(iat=-1),
    "issued as null": lambda w: w.saying(iat=None),
    "another issuer": lambda w: w.saying(iss="https://nobody.example"),
    "an issuer of another provider": lambda w: w.saying(iss=w.draw.choice(ISSUERS)),
    "no issuer": lambda w: w.saying("iss"),
    "an issuer that is a number": lambda w: w.saying(iss=1),
    "an issuer that is null": lambda w: w.saying(iss=None),
    "a subject that is a number": lambda w: w.saying(sub=1),
    "another subject": lambda w: w.saying(sub="admin"),
    "no subject": lambda w: w.saying("sub"),
    "an id that is a number": lambda w: w.saying(jti=1),
    "another audience": lambda w: w.saying(aud="nobody.example"),
    "no audience": lambda w: w.saying("aud"),
    "an empty list of audiences": lambda w: w.saying(aud=[]),
    "several audiences": lambda w: w.saying(aud=["nobody", w.draw.choice(AUDIENCES)]),
    "an audience that is a number": lambda w: w.saying(aud=1),
    "an audience list with a number": lambda w: w.saying(aud=["plain", 1]),
    "signed by another key": lambda w: (
        signer(w.signer.algorithm, "other").token(w.claims, w.header())
        if w.signer.algorithm[:2] not in ("RS", "PS")
        else _joined(w, signature=_flipped(w.parts()[2], 20))
    ),
    "an unknown key id": lambda w: w.signed(w.header(kid="nobody's")),
    "no key id": lambda w: w.signed(w.header("kid")),
    "an empty key id": lambda w: w.signed(w.header(kid="")),
    "a key id that is a number": lambda w: w.signed(w.header(kid=1)),
    "a key id that is null": lambda w: w.signed(w.header(kid=None)),
    "no algorithm": lambda w: w.signed(w.header("alg")),
    "algorithm none": lambda w: f"{encoded(w.header(alg='none'))}.{encoded(w.claims)}.",
    "algorithm none with a signature": lambda w: w.signed(w.header(alg="none")),
    "an algorithm in lower case": lambda w: w.signed(w.header(alg=w.signer.algorithm.lower())),
    "an algorithm that is a number": lambda w: w.signed(w.header(alg=1)),
    "an algorithm that nobody has": lambda w: w.signed(w.header(alg="ES256K")),
    "a public key as a shared secret": _confused,
    "a public key as a shared secret, no key id": lambda w: Signer(
        "HS256", str(w.signer.jwk.get("n") or w.signer.jwk.get("x") or "x").encode(), {"kid": ""}
    ).token(w.claims, {"alg": "HS256"}),
    "critical members": lambda w: w.signed(w.header(crit=["exp"], exp=1)),
    "detached payload": lambda w: w.signed(w.header(b64=False, crit=["b64"])),
    "a key of its own": lambda w: signer("ES256", "attacker").token(
        w.claims, {"alg": "ES256", "jwk": signer("ES256", "attacker").key()}
    ),
    "two parts": lambda w: ".".join(w.parts()[:2]),
    "four parts": lambda w: w.signed() + ".x",
    "empty parts between": lambda w: "..".join(w.parts()) + ".",
    "no signature": lambda w: ".".join(w.parts()[:2]) + ".",
    "one word": lambda w: "token",
    "empty": lambda w: "",
    "dots": lambda w: "..",
    "a header that is no base64": lambda w: _joined(w, header="a$b"),
    "a payload that is no base64": lambda w: _joined(w, payload="a*b"),
    "a signature that is no base64": lambda w: _joined(w, signature="a+/b"),
    "a part of an impossible length": lambda w: _joined(w, header="abcde"),
    "padding": lambda w: _padded(w),
    "too much padding": lambda w: w.signed() + "====",
    "bits left over": lambda w: _left_over(w),
    "words behind it": lambda w: w.signed() + " more",
    "a comma behind it": lambda w: w.signed() + ",",
    "a header that is no JSON": lambda w: w.signed(b"{alg"),
    "a header that is a list": lambda w: w.signed(b"[]"),
    "a header that is null": lambda w: w.signed(b"null"),
    "a payload that is no JSON": lambda w: _raw(w, "{iss"),
    "a payload that is text": lambda w: _raw(w, '"iss"'),
    "an empty payload": lambda w: _raw(w, "{}"),
    "a claim twice": lambda w: _raw(w, '{"iss":"x",' + _about(w) + "}"),
    "a claim twice inside": lambda w: _raw(w, '{"in":{"a":1,"a":2},' + _about(w) + "}"),
    "a comma too much": lambda w: _raw(w, "{" + _about(w) + ",}"),
    "single quotes": lambda w: _raw(w, "{'extra':1," + _about(w) + "}"),
    "a name without quotes": lambda w: _raw(w, "{extra:1," + _about(w) + "}"),
    "not a number": lambda w: _raw(w, '{"extra":NaN,' + _about(w) + "}"),
    "a comment": lambda w: _raw(w, "{/* */" + _about(w) + "}"),
    "white space around": lambda w: _raw(w, " \n{" + _about(w) + "}\t "),
    "words behind the payload": lambda w: _raw(w, "{" + _about(w) + "} x"),
    "a mark of byte order": lambda w: w.signed(None, b"\xef\xbb\xbf" + text(w.claims)),
    "bytes that are no UTF-8": lambda w: w.signed(None, b'{"extra":"\xff",' + _about(w).encode() + b"}"),
    "half a surrogate": lambda w: _raw(w, '{"extra":"\\ud800",' + _about(w) + "}"),
    "a whole surrogate": lambda w: _raw(w, '{"name":"\\ud83d\\ude00",' + _about(w) + "}"),
    "a zero byte": lambda w: _raw(w, '{"name":"\\u0000",' + _about(w) + "}"),
    "control characters": lambda w: _raw(w, '{"extra":"\x01",' + _about(w) + "}"),
    "very deep": lambda w: _raw(w, '{"extra":' + "[" * 200 + "]" * 200 + "," + _about(w) + "}"),
    "rather deep": lambda w: _raw(w, '{"extra":' + "[" * 60 + "]" * 60 + "," + _about(w) + "}"),
    "a signature cut short": lambda w: _joined(w, signature=w.parts()[2][:-4]),
    "a signature with more behind": lambda w: w.signed() + "AAAA",
    "a signature that was changed": lambda w: _joined(w, signature=_flipped(w.parts()[2], 5)),
    "a payload that was changed": lambda w: _joined(w, payload=encoded({**w.claims, "sub": "admin"})),
    "claims of every kind": lambda w: w.saying(
        number=7,
        fraction=1.5,
        minus=-3,
        big=12345678901234567890,
        yes=True,
        no=False,
        nothing=None,
        name="Ünï <x>",
        list=["a", 1, True, None, {"b": 1}],
        inner={"more": {"level": 3}},
        person={"name": "deep"},
        scope="read  write",
        permission="only",
        roles=["a", "b"],
    ),
}
"""By name: what is wrong, or is not."""

STRICTER = ("a comma too much", "single quotes", "a name without quotes", "control characters")
"""What protobuf's reader of JSON lets pass, and JSON does not: ours refuses it."""

RIGHT = ("good", "claims of every kind", "no key id", "several audiences", "a short life")


def _padded(wanted: Wanted) -> str:
    """Padding that is part of what is signed."""
    own = wanted.signer
    header, payload = encoded(wanted.header()), encoded(wanted.claims)
    data = ".".join(each + "=" * (-len(each) % 4) for each in (header, payload))
    signature = own.sign(data)
    return f"{data}.{signature}{'=' * (-len(signature) % 4)}"


def _left_over(wanted: Wanted) -> str:
    """The last character of the signature says more than there are bytes."""
    token = wanted.signed()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    left = len(token.rpartition(".")[2]) % 4
    return token if not left else token[:-1] + letters[letters.index(token[-1]) | 1]
