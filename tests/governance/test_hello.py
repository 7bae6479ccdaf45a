"""The first bytes of a connection: ClientHellos of a real client, pieces of them, and everything else."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxyless.governance.hello import MAX_HELLO, Hello, IncompleteError, Progress, TooLongError, read_hello


def client_hello(name: str | None = "ledger.bank", alpn: tuple[str, ...] = ("istio", "h2")) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


WHOLE = client_hello()


def block(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def made(
    extensions: bytes | None,
    *,
    session: bytes = b"",
    ciphers: bytes = b"\x13\x01",
    compressions: bytes = b"\0",
    more: bytes = b"",
) -> bytes:
    """A ClientHello in one record."""
    body = b"\3\3" + bytes(32) + block(1, session) + block(2, ciphers) + block(1, compressions)
    body += (block(2, extensions) if extensions is not None else b"") + more
    return b"\x16\3\1" + block(2, b"\1" + block(3, body))


def named(name: bytes, kind: bytes = b"\0", more: bytes = b"") -> bytes:
    return b"\0\0" + block(2, block(2, kind + block(2, name)) + more)


@pytest.mark.parametrize(
    ("name", "alpn", "expected"),
    [
        ("ledger.bank", ("istio", "h2"), Hello("ledger.bank", ("istio", "h2"))),
        (None, ("h2",), Hello("", ("h2",))),
        ("a.b", (), Hello("a.b")),
        ("outbound_.8080_._.ledger.bank", ("istio-peer-exchange", "istio"), None),
    ],
)
def test_what_a_client_says_is_read(name: str | None, alpn: tuple[str, ...], expected: Hello | None) -> None:
    assert read_hello(client_hello(name, alpn)) == (expected or Hello(name or "", alpn))


def test_every_piece_of_it_is_incomplete() -> None:
    for length in range(len(WHOLE)):
        with pytest.raises(IncompleteError):
            read_hello(WHOLE[:length])


def test_it_may_come_in_many_records() -> None:
    message = WHOLE[5:]
    records = b"".join(b"\x16\3\1" + block(2, message[place : place + 7]) for place in range(0, len(message), 7))
    assert read_hello(records) == read_hello(WHOLE)
    for length in range(0, len(records), 5):
        with pytest.raises(IncompleteError):
            read_hello(records[:length])


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_records_that_were_whole_are_not_read_again(size: int) -> None:
    message = WHOLE[5:]
    pieces = [message[place : place + size] for place in range(0, len(message), size)]
    data = b"".join(b"\x16\3\1" + block(2, each) for each in pieces)
    progress = Progress()
    for end in range(len(data)):
        with pytest.raises(IncompleteError):
            read_hello(data[:end], progress)
        whole = end // (5 + size)
        assert (progress.place, bytes(progress.message)) == (whole * (5 + size), message[: whole * size])
    assert read_hello(data, progress) == read_hello(WHOLE)


def test_without_extensions_it_says_nothing() -> None:
    assert read_hello(made(None)) == Hello()
    assert read_hello(made(b"")) == Hello()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"P",
        b"\x16\2",
        b"\x15\3\1\0\2\2\x28",
        b"\x16\3\1\0\0",
        b"\x16\3\1\xff\xff",
        b"\x16\3\1\0\4\2\0\0\0",
        b"\x16\3\1\0\4\1\xff\xff\xff",
        b"\x16\3\1\0\1\1\x17\3\1",
        made(b"", session=bytes(33)),
        made(b"", ciphers=b""),
        made(b"", ciphers=b"\x13"),
        made(b"", compressions=b""),
        made(b"", more=b"x"),
        made(b"\0\5\0\0\0\5\0\0"),
        made(b"\0\5\0"),
        made(named(b"")),
        made(named(b"a" * 256)),
        made(named(b"a\0b")),
        made(named(b"a", kind=b"\1")),
        made(named(b"a", more=b"x")),
    ],
)
def test_what_is_no_hello_is_plaintext(data: bytes) -> None:
    assert read_hello(data) is None


@pytest.mark.parametrize("protocols", [block(2, b"\2h2\0"), block(2, b"\3h2"), block(2, b"\2h2") + b"x", b""], ids=repr)
def test_protocols_that_are_broken_say_nothing(protocols: bytes) -> None:
    assert read_hello(made(b"\0\x10" + block(2, protocols))) == Hello()


def test_one_that_does_not_end_is_too_long() -> None:
    message = b"\1" + block(3, bytes(16000))
    pieces = b"".join(b"\x16\3\1\0\1" + message[place : place + 1] for place in range(3000))
    with pytest.raises(IncompleteError):
        read_hello(pieces[: MAX_HELLO - 1])
    with pytest.raises(TooLongError):
        read_hello(pieces[:MAX_HELLO])


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_taken_for_something(data: bytes) -> None:
    for start in (b"", b"\x16\3\1", WHOLE[:60]):
        with suppress(IncompleteError):
            found = read_hello(start + data)
            assert found is None or isinstance(found, Hello)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_a_byte_that_is_changed_does_no_harm(place: int, byte: int) -> None:
    changed = bytearray(WHOLE)
    changed[place] = byte
    with suppress(IncompleteError):
        read_hello(bytes(changed))
