"""What the walk expects: read from YAML alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from proxyless.demo.intended import Bucket, Intended, shipped


def test_the_shipped_files_say_what_their_comments_say() -> None:
    intended = Intended()
    assert intended.weights == {"v1": 80, "v2": 20, "v3": 0}
    assert intended.group == ("x-user-group", "internal", "v3")
    assert intended.breaker == (2, 3)
    assert intended.payments == Bucket(6, 0.1)
    assert intended.payment_header == "x-local-rate-limit"
    assert intended.users == Bucket(4, 4 / 60)
    assert intended.user_header == "x-user"


def test_the_files_for_mtls_say_who_may_call_whom() -> None:
    assert Intended(shipped(mtls=True)).callers == {
        "catalog": ("storefront",),
        "cart": ("storefront",),
        "checkout": ("storefront",),
        "payment": ("checkout",),
    }
    assert shipped().keys() < shipped(mtls=True).keys()


def test_other_files_say_something_else() -> None:
    texts = shipped()
    texts["checkout.yaml"] = texts["checkout.yaml"].replace("maxConnections: 2", "maxConnections: 7")
    assert Intended(texts).breaker == (7, 3)


def test_nothing_that_is_expected_comes_from_the_code_under_test() -> None:
    program = (
        "import sys, proxyless.demo.intended, proxyless.demo.chance, proxyless.demo.checks\n"
        "print([name for name in sys.modules if name.startswith(('proxyless.xds', 'proxyless.governance'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("calls", "seconds", "bounds"),
    [(10, 0.0, (6, 6)), (10, 9.9, (6, 6)), (10, 20.5, (6, 8)), (10, 1000.0, (6, 10)), (3, 1000.0, (3, 3))],
)
def test_a_bucket_lets_through_what_it_held_and_what_flowed_in(
    calls: int, seconds: float, bounds: tuple[int, int]
) -> None:
    assert Bucket(6, 0.1).passes(calls, seconds) == bounds
