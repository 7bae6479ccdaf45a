"""The authority's folder and the table of tokens."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from proxyless.xds.controlplane.authority.authority import Authority
from proxyless.xds.controlplane.authority.callers import AuthorityError, Caller
from proxyless.xds.controlplane.authority.directory import Directory, DirectoryError
from proxyless.xds.controlplane.authority.issuing import pem_of
from proxyless.xds.controlplane.authority.rotating import RotationError
from proxyless.xds.controlplane.authority.tokens import TokenFile, TokensError, add, new_token, parse
from tests.support.certificates import authority as foreign
from tests.xds.controlplane.authority.support import CART, Clock, csr, ec_key

NOW = 1_800_000_000.0


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_folder_is_made_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    made = Directory(tmp_path / "deep" / "ca", NOW)
    assert mode(made.path) == 0o700
    assert {each.name for each in made.path.iterdir()} == {
        "ca-cert.pem",
        "ca-key.pem",
        "cert-chain.pem",
        "root-cert.pem",
    }
    assert {mode(each) for each in made.path.iterdir()} == {0o600}
    again = Directory(made.path, NOW + 5)
    assert again.current().roots == made.current().roots
    assert again.current().signer.certificate == made.current().signer.certificate


def test_a_rotation_in_files_is_followed_by_others(tmp_path: Path) -> None:
    one, other = Directory(tmp_path / "ca", NOW), Directory(tmp_path / "ca", NOW)
    old = one.current().signer.certificate
    one.rotate("announce", NOW)
    assert other.current().roots == one.current().roots
    coming = other.current().coming
    assert coming is not None
    one.rotate("switch", NOW)
    assert other.current().signer.certificate == coming.certificate
    assert old in other.current().roots
    other.rotate("retire", NOW)
    assert one.current().roots == (coming.certificate,)
    with pytest.raises(RotationError):
        one.rotate("retire", NOW)
    assert not (tmp_path / "ca" / "next-key.pem").exists()


def test_an_intermediate_of_somebody_s_signs_and_brings_its_chain(tmp_path: Path) -> None:
    root = foreign("corporate root")
    middle = root.intermediate("middle")
    lowest = middle.intermediate("lowest")
    write(tmp_path, "ca-cert.pem", lowest.pem)
    write(tmp_path, "ca-key.pem", pem(lowest.key))
    write(tmp_path, "cert-chain.pem", lowest.pem + middle.pem)
    write(tmp_path, "root-cert.pem", root.pem)
    kept = Directory(tmp_path, NOW)
    clock = Clock(lowest.certificate.not_valid_before_utc.timestamp() + 60)
    chain = Authority(kept, clock).create(CART, csr(ec_key()))
    assert [each.encode() for each in chain[1:]] == [lowest.pem, middle.pem, root.pem]
    with pytest.raises(RotationError, match="whoever made it"):
        kept.rotate("announce", NOW)
    write(tmp_path, "cert-chain.pem", middle.pem + lowest.pem)
    assert Directory(tmp_path, NOW).current().signer.between == (lowest.certificate, middle.certificate)
    write(tmp_path, "cert-chain.pem", b"")
    with pytest.raises(DirectoryError, match="does not lead to a root"):
        Directory(tmp_path, NOW)
    write(tmp_path, "cert-chain.pem", foreign("other").pem)
    with pytest.raises(DirectoryError, match="do not vouch"):
        Directory(tmp_path, NOW)


def pem(key: object) -> bytes:
    return key.private_bytes(  # type: ignore[attr-defined,no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    (folder / name).chmod(0o600)


LEAF = foreign().workload("cart")


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("ca-key.pem", b"", "holds no private key"),
        ("ca-key.pem", pem(ec_key()), "is not the key of ca-cert.pem"),
        ("ca-key.pem", None, "No such file"),
        ("ca-cert.pem", b"hello", "holds no certificates"),
        ("root-cert.pem", foreign().pem, "does not lead to a root"),
        ("root-cert.pem", None, "No such file"),
        ("cert-chain.pem", b"hello", "holds no certificates"),
    ],
)
def test_files_that_make_no_sense_are_named(tmp_path: Path, name: str, data: bytes | None, why: str) -> None:
    Directory(tmp_path / "ca", NOW)
    if data is None:
        (tmp_path / "ca" / name).unlink()
    else:
        write(tmp_path / "ca", name, data)
    with pytest.raises(DirectoryError, match=why) as error:
        Directory(tmp_path / "ca", NOW)
    assert "BEGIN" not in str(error.value)


def test_a_leaf_is_no_authority(tmp_path: Path) -> None:
    write(tmp_path, "ca-cert.pem", LEAF.chain)
    write(tmp_path, "ca-key.pem", LEAF.key)
    write(tmp_path, "root-cert.pem", LEAF.chain)
    with pytest.raises(DirectoryError, match="no authority's certificate"):
        Directory(tmp_path, NOW)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Directory(tmp_path / "ca", NOW)
    (tmp_path / "ca" / "ca-key.pem").chmod(0o640)
    with pytest.raises(DirectoryError, match="chmod 600"):
        Directory(tmp_path / "ca", NOW)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize(("mode", "taken"), [(0o440, True), (0o444, False), (0o460, False)])
def test_a_secret_as_the_kubelet_mounts_it_is_taken(tmp_path: Path, mode: int, taken: bool) -> None:
    made = Directory(tmp_path / "ca", NOW)
    key = tmp_path / "ca" / "ca-key.pem"
    os.chown(key, os.geteuid() + 1, -1)
    key.chmod(mode)
    if taken:
        assert Directory(tmp_path / "ca", NOW).current().roots == made.current().roots
    else:
        with pytest.raises(DirectoryError, match="chmod 600"):
            Directory(tmp_path / "ca", NOW)


def test_a_folder_of_something_else_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DirectoryError, match="not empty"):
        Directory(tmp_path, NOW)
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_what_was_good_stays_while_files_are_broken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Directory(tmp_path / "ca", NOW)
    good = kept.current()
    text = (tmp_path / "ca" / "root-cert.pem").read_bytes()
    write(tmp_path / "ca", "root-cert.pem", b"hello")
    with caplog.at_level(logging.WARNING):
        assert kept.current() is good
        assert kept.current() is good
    assert caplog.text.count("signs with what it had") == 1
    write(tmp_path / "ca", "root-cert.pem", text)
    assert [pem_of(each) for each in kept.current().roots] == [pem_of(each) for each in good.roots]


# -- tokens ------------------------------------------------------------------------------------------------------------


def table(path: Path, *lines: str) -> Path:
    file = path / "tokens.jsonl"
    file.write_text("\n".join(lines) + "\n")
    file.chmod(0o600)
    return file


def test_a_token_is_its_service_account_s_until_it_ends(tmp_path: Path) -> None:
    clock = Clock()
    file = tmp_path / "tokens.jsonl"
    token, line = new_token(CART, clock() + 60)
    assert token not in line
    add(file, line)
    assert mode(file) == 0o600
    known = TokenFile(file, clock)
    assert known.caller(token, "anywhere") == CART
    for wrong in (token[:-1], token + "x", "", token.upper(), "\udcff"):
        with pytest.raises(AuthorityError, match="not known"):
            known.caller(wrong, "")
    clock.now += 60
    with pytest.raises(AuthorityError, match="has expired"):
        known.caller(token, "")


def test_the_table_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = table(tmp_path, "# ours", "", '{"token": "0123456789abcdef", "namespace": "shop", "serviceAccount": "cart"}')
    known = TokenFile(file, Clock())
    assert known.caller("0123456789abcdef", "") == CART
    token, line = new_token(Caller("shop", "payment"), None)
    add(file, line)
    assert known.caller(token, "") == Caller("shop", "payment")
    with file.open("a") as more:
        more.write("{half a li")
    assert known.caller(token, "") == Caller("shop", "payment")
    assert "what the table said before stays" in caplog.text
    assert "half a li" not in caplog.text
    table(tmp_path, "{token: 0123456789abcdef, namespace: shop, serviceAccount: cart}")
    assert known.caller("0123456789abcdef", "") == CART
    with pytest.raises(AuthorityError):
        known.caller(token, "")


@pytest.mark.parametrize("what", ["open", "gone"])
def test_a_table_that_others_can_read_or_that_is_gone_lets_nobody_in(tmp_path: Path, what: str) -> None:
    file = table(tmp_path, '{"token": "0123456789abcdef", "namespace": "shop", "serviceAccount": "cart"}')
    known = TokenFile(file, Clock())
    if what == "open":
        file.chmod(0o644)
    else:
        file.unlink()
    for _ in range(2):
        with pytest.raises(AuthorityError):
            known.caller("0123456789abcdef", "")
    with pytest.raises(TokensError, match=r"chmod 600|No such file"):
        TokenFile(file, Clock())
    if what == "open":
        with pytest.raises(TokensError, match="chmod 600"):
            add(file, "{}")
        file.chmod(0o600)
        assert known.caller("0123456789abcdef", "") == CART
    else:
        with pytest.raises(TokensError, match="No such file"):
            add(tmp_path / "nowhere" / "t", "{}")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[]", "no object"),
        ("{", "neither JSON nor YAML"),
        ('{"token": "0123456789abcdef"}', "namespace and serviceAccount"),
        ('{"token": "short", "namespace": "a", "serviceAccount": "b"}', "can be guessed"),
        ('{"namespace": "a", "serviceAccount": "b"}', "either token"),
        ('{"sha256": "12", "namespace": "a", "serviceAccount": "b"}', "either token"),
        ('{"token": 17, "namespace": "a", "serviceAccount": "b"}', "either token"),
        ('{"token": "0123456789abcdef", "sha256": "x", "namespace": "a", "serviceAccount": "b"}', "either token"),
        ('{"token": "0123456789abcdef", "namespace": "a/b", "serviceAccount": "b"}', "no name of a namespace"),
        ('{"token": "0123456789abcdef", "namespace": "a", "serviceAccount": "b", "exp": 1}', "unknown: exp"),
        ('{"token": "0123456789abcdef", "namespace": "a", "serviceAccount": "b", "expires": true}', "expires is not"),
        ('{"token": "0123456789abcdef", "namespace": "a", "serviceAccount": "b", "expires": "x"}', "expires is not"),
    ],
)
def test_a_wrong_line_is_named_without_its_token(line: str, why: str) -> None:
    with pytest.raises(TokensError, match=f"table:2: .*{why}") as error:
        list(parse(f"# one\n{line}\n", "table"))
    assert "0123456789abcdef" not in str(error.value)


@given(st.text(max_size=200))
def test_arbitrary_text_is_a_table_or_a_named_error(text: str) -> None:
    with suppress(TokensError):
        list(parse(text, "table"))
