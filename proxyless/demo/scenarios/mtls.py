"""The shop in STRICT mode (`--mtls`): plaintext is refused, identities count, and certificates change under load."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from ..checks import Check, equal
from ..run import Demo
from ..seen import Sight
from ..shop import Instance
from .change import unharmed

if TYPE_CHECKING:
    from ...xds.controlplane.authority.rotating import Step

PLAIN_CALLS = 3
CALLS = 10
PLAIN = "/plain"
ITEMS, PEEK = "GET /items", "GET /peek"
PATIENCE_S = 60.0
QUIET_S = 0.6
TOGETHER = 3
PAUSE_S = 0.03
ROTATIONS = "proxyless_certificate_rotations_total"
LEAF, ROOT = "default", "ROOTCA"


def expects_strict(demo: Demo) -> str:
    inner = ", ".join(dict.fromkeys(each.role.app for each in _inner(demo)))
    return f"plaintext to {inner} is refused before a byte of it is read; through the storefront calls go by mTLS"


def strict(demo: Demo) -> Iterator[Check]:
    """Each port is asked as somebody would who knows nothing of certificates."""
    before = demo.look()
    answers: Counter[str] = Counter()
    for instance in _inner(demo):
        answers.update(_asked_plainly(instance) for _ in range(PLAIN_CALLS))
    tally = demo.load.burst("GET", "/items", CALLS)
    seen = demo.look().since(before)
    yield equal("plain requests", {"refused": PLAIN_CALLS * len(_inner(demo))}, dict(answers))
    yield equal("of them arrived", 0, sum(seen.arrived(each.name, f"GET {PLAIN}") for each in _inner(demo)))
    yield equal("by way of the storefront", {"200": CALLS}, dict(tally.statuses))


def _inner(demo: Demo) -> list[Instance]:
    """Everybody but the front door."""
    return [each for each in demo.instances if each.role.app != "storefront"]


def _asked_plainly(instance: Instance) -> str:
    """The status, or `refused`."""
    connection = HTTPConnection(instance.host, instance.port, timeout=PATIENCE_S)
    try:
        connection.request("GET", PLAIN)
        return str(connection.getresponse().status)
    except (OSError, HTTPException):
        return "refused"
    finally:
        connection.close()


def expects_principals(demo: Demo) -> str:
    allowed = demo.intended.callers["catalog"]
    return f"catalog lets {', '.join(allowed)} in; checkout, which asks it too, gets 403 from its mesh"


def principals(demo: Demo) -> Iterator[Check]:
    """The same request to catalog, by whom it is for and by somebody else."""
    before = demo.look()
    wrong = demo.load.burst("GET", "/peek", CALLS)
    middle = demo.look()
    right = demo.load.burst("GET", "/items", CALLS)
    after = demo.look()
    refused, let_in = middle.since(before), after.since(middle)
    yield equal("checkout to catalog", {"403": CALLS}, dict(wrong.statuses))
    yield equal("arrived at checkout", CALLS, refused.served("checkout", PEEK))
    yield equal("catalog: arrived, served", (CALLS, 0), _catalogs(refused))
    yield equal("storefront to catalog", {"200": CALLS}, dict(right.statuses))
    yield equal("catalog: arrived, served", (CALLS, CALLS), _catalogs(let_in))


def _catalogs(seen: Sight) -> tuple[int, int]:
    """Requests at all versions of catalog: (arrived, served)."""
    names = [each for each in seen.counted if each.startswith("catalog-")]
    return sum(seen.arrived(each, ITEMS) for each in names), sum(seen.served(each, ITEMS) for each in names)


def expects_rotation(demo: Demo) -> str:
    return (
        f"certificates end after {demo.certificate_s:g} s and are replaced at half of that, meanwhile the root is too; "
        "no call fails"
    )


def rotation(demo: Demo) -> Iterator[Check]:
    """A new root: trusted first, then it signs, then the old one goes. After each step everybody renews."""
    everybody = len(demo.instances)
    began = demo.look()
    demo.load.steady("/", TOGETHER, PAUSE_S)
    try:
        steps: tuple[Step, ...] = ("announce", "switch")
        for step in steps:
            _step(demo, step)
            _await_renewals(demo)
        _step(demo, "retire")
        time.sleep(QUIET_S)
        seen = demo.look().since(began)
    finally:
        tally = demo.load.stop()
    yield equal("have other certificates", everybody, len(_renewed(seen, LEAF, 2)))
    yield equal("have another root", everybody, len(_renewed(seen, ROOT)))
    yield unharmed(tally)


def _await_renewals(demo: Demo) -> None:
    """Until every service has another certificate, or patience ends."""
    before = demo.look()
    demo.until(lambda: len(_renewed(demo.look().since(before), LEAF)) == len(demo.instances), PATIENCE_S)


def _step(demo: Demo, step: Step) -> None:
    """The sabotage: an authority that nobody renews."""
    if demo.sabotage.scenario != "rotation":
        demo.rotate(step)


def _renewed(seen: Sight, secret: str, times: int = 1) -> set[str]:
    """Services that have replaced it so often."""
    return {name for name, text in seen.metrics.items() if text.sum(ROTATIONS, secret=secret) >= times}
