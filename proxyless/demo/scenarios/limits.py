"""Local rate limits, enforced by the server that is called: one for everybody, one for each user."""

from __future__ import annotations

from collections.abc import Iterator

from ..checks import Check, equal
from ..intended import Bucket
from ..run import Demo
from ..seen import Sight

ORDERS = 10
PAY = "POST /pay"
HELLO = "GET /hello"
ALICE, BOB, ANYBODY = 7, 3, 20


def expects_payments(demo: Demo) -> str:
    bucket = demo.intended.payments
    return (
        f"{ORDERS} orders, a bucket of {bucket.tokens} at payment: the rest gets 429 and {demo.intended.payment_header}"
    )


def payments(demo: Demo) -> Iterator[Check]:
    """The bucket was full; what flows in while the calls are made is counted in."""
    before = demo.look()
    tally = demo.load.burst("POST", "/checkout", ORDERS)
    seen = demo.look().since(before)
    passed = tally.statuses.get("200", 0)
    yield _within("callers got 200", demo.intended.payments, ORDERS, tally.seconds, passed)
    refused = {"429": ORDERS - passed} if passed < ORDERS else {}
    yield equal("the others got", refused or {"429": "some"}, {k: n for k, n in tally.statuses.items() if k != "200"})
    yield equal(f"with {demo.intended.payment_header}", ORDERS - passed, tally.limited)
    yield equal(
        "payment: arrived, served", (ORDERS, passed), (seen.arrived("payment", PAY), seen.served("payment", PAY))
    )
    yield equal("flag RL in payment's metrics", ORDERS - passed, _refused(seen, "payment"))


def expects_users(demo: Demo) -> str:
    tokens = demo.intended.users.tokens
    return f"a bucket of {tokens} for each user: alice calls {ALICE} times, bob {BOB}, others {ANYBODY}"


def users(demo: Demo) -> Iterator[Check]:
    """A user's bucket is nobody else's."""
    bucket = demo.intended.users
    header = demo.intended.user_header
    before = demo.look()
    alice = demo.load.burst("GET", "/hello", ALICE, headers={header: "alice"})
    bob = demo.load.burst("GET", "/hello", BOB, headers={header: "bob"})
    others = demo.load.burst("GET", "/hello", ANYBODY)
    seen = demo.look().since(before)
    passed = alice.statuses.get("200", 0)
    yield _within("alice got 200", bucket, ALICE, alice.seconds, passed)
    yield _within("bob got 200", bucket, BOB, bob.seconds, bob.statuses.get("200", 0))
    yield equal("others got", {"200": ANYBODY}, dict(others.statuses))
    through = passed + BOB + ANYBODY
    arrived = ALICE + BOB + ANYBODY
    counted = (seen.arrived("storefront", HELLO), seen.served("storefront", HELLO))
    yield equal("storefront: arrived, served", (arrived, through), counted)
    yield equal("flag RL in its metrics", ALICE - passed, _refused(seen, "storefront"))


def _within(what: str, bucket: Bucket, calls: int, seconds: float, passed: int) -> Check:
    low, high = bucket.passes(calls, seconds)
    return Check(what, f"{low}" if low == high else f"{low} to {high}", str(passed), low <= passed <= high)


def _refused(seen: Sight, name: str) -> int:
    text = seen.metrics[name]
    return int(text.sum("istio_requests_total", reporter="destination", response_code="429", response_flags="RL"))
