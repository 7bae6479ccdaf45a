"""Headers in h11's own form: what goes over the wire, and what is refused, is the same as without it."""

from __future__ import annotations

import subprocess
import sys

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyless.governance.suites import _h11

ORDINARY = [(b"Host", b"catalog"), (b"accept", b"*/*"), (b"X-Empty", b""), (b"content-length", b"2")]

names = st.one_of(
    st.sampled_from([b"Host", b"accept", b"X-User", b"Content-Length", b"content-length", b"Transfer-Encoding"]),
    st.binary(max_size=4),
)
values = st.one_of(
    st.sampled_from(
        [b"", b"a", b"a b", b" a", b"a ", b"2", b"2, 2", b"02", b"9" * 30, b"chunked", b"Chunked", b"a\r\nb: c"]
    ),
    st.text(max_size=5).map(str.encode),
    st.binary(max_size=4),
)


def wire(headers: object) -> bytes | str:
    """The head of a request as h11 writes it, or why it does not."""
    try:
        return (
            h11.Connection(h11.CLIENT).send(
                h11.Request(method=b"POST", target=b"/", headers=headers)  # type: ignore[arg-type]
            )
            or b""
        )
    except h11.LocalProtocolError as error:
        return str(error)


@given(st.lists(st.tuples(names, values), max_size=4))
def test_the_same_bytes_or_the_same_refusal(pairs: list[tuple[bytes, bytes]]) -> None:
    for headers in (pairs, [(b"Host", b"catalog"), *pairs]):
        assert wire(_h11.checked(headers)) == wire(headers)


def test_ordinary_headers_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = _h11.checked(ORDINARY)
    assert isinstance(taken, _h11.CheckedHeaders)
    expected = wire(ORDINARY)
    monkeypatch.setattr(h11._headers, "validate", None)
    assert wire(taken) == expected


@pytest.mark.parametrize(
    "odd",
    [
        (b"x", b"a\r\nx-admin: yes"),
        (b"x", b"caf\xc3\xa9"),
        (b"x", b" a"),
        (b"x", b"a\t"),
        (b"x y", b"a"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"1, 1"),
        (b"content-length", b"2"),
    ],
)
def test_what_is_odd_is_left_to_h11(odd: tuple[bytes, bytes]) -> None:
    pairs = [*ORDINARY, odd]
    assert _h11.checked(pairs) is pairs


def test_many_names_are_not_remembered_for_ever() -> None:
    for number in range(3000):
        assert isinstance(_h11.checked([(b"x-%d" % number, b"a")]), _h11.CheckedHeaders)
    assert len(_h11._lower) <= 1024


def test_without_the_class_the_suite_works_all_the_same() -> None:
    code = "import h11; del h11._headers.Headers; import proxyless.httpx as p; print(p.Transport)"
    assert (
        "Transport" in subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    )


def test_names_may_be_written_in_lower_case() -> None:
    found = _h11.checked(ORDINARY, in_lower_case=True).raw_items()
    assert found == [(name.lower(), value) for name, value in ORDINARY]
    odd = [*ORDINARY, (b"X-Odd", b" ")]
    assert _h11.checked(odd, in_lower_case=True) == [(name.lower(), value) for name, value in odd]
