"""Asking an authority over real gRPC: tokens, roots, refusals."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from proxyless.xds.identity.authority import AuthorityClient
from proxyless.xds.identity.bearer import account_of_token
from proxyless.xds.identity.identity import Identity
from proxyless.xds.identity.refusals import RefusedError
from proxyless.xds.identity.requests import new_request
from proxyless.xds.identity.settings import FromAuthority, KeyKind
from tests.support.authorities import Asked, CertificateServer, RefusalError, certificate_server
from tests.support.certificates import authority, spiffe
from tests.support.waiting import wait_for

_, CSR = new_request(spiffe("front"), KeyKind())


def settings(server: CertificateServer, folder: Path) -> FromAuthority:
    (folder / "root.pem").write_bytes(server.root.pem)
    (folder / "token").write_text("first-token\n")
    return FromAuthority(
        server.address,
        spiffe("front"),
        root_cert=str(folder / "root.pem"),
        token_file=str(folder / "token"),
        cluster_id="east",
        ttl_s=7200,
        signer="signer",
        headers={"X-Extra": "yes"},
    )


def test_a_request_carries_the_token_and_who_asks(tmp_path: Path) -> None:
    with certificate_server() as server:
        client = AuthorityClient(settings(server, tmp_path))
        chain = client(CSR)
        (tmp_path / "token").write_text("second-token")
        client(CSR)
        client.close()
    assert len(chain) == 2
    first, second = server.asked
    assert first.ttl_s == 7200
    assert first.signer == "signer"
    assert first.metadata["authorization"] == "Bearer first-token"
    assert second.metadata["authorization"] == "Bearer second-token"
    assert (first.metadata["clusterid"], first.metadata["x-extra"]) == ("east", "yes")
    names = x509.load_pem_x509_csr(first.csr).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [spiffe("front")]


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated", "it refused the token: why"),
        (grpc.StatusCode.PERMISSION_DENIED, "permission_denied", "it gives this workload no certificate: why"),
        (grpc.StatusCode.INVALID_ARGUMENT, "refused", "it refused the request: why"),
        (grpc.StatusCode.UNIMPLEMENTED, "unserved", "nobody gives certificates there: why"),
        (grpc.StatusCode.INTERNAL, "refused", "it answered INTERNAL: why"),
    ],
)
def test_refusals_are_told_apart(tmp_path: Path, code: grpc.StatusCode, reason: str, text: str) -> None:
    def answer(asked: Asked) -> list[str]:
        raise RefusalError(code, "why")

    with certificate_server() as server:
        server.answer = answer
        with pytest.raises(RefusedError) as caught:
            AuthorityClient(settings(server, tmp_path))(CSR)
    assert (caught.value.reason, str(caught.value)) == (reason, text)
    assert caught.value.final == (reason == "unserved")


def test_a_token_that_is_quoted_is_not_quoted_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def answer(asked: Asked) -> list[str]:
        raise RefusalError(grpc.StatusCode.UNAUTHENTICATED, f"bad {asked.metadata['authorization']}")

    caplog.set_level(logging.DEBUG)
    with certificate_server() as server:
        server.answer = answer
        with pytest.raises(RefusedError, match=r"bad Bearer \[redacted\]"):
            AuthorityClient(settings(server, tmp_path))(CSR)
    assert "first-token" not in caplog.text


def test_an_authority_that_is_away_is_unavailable(tmp_path: Path) -> None:
    with certificate_server() as server:
        found = settings(server, tmp_path)
    with pytest.raises(RefusedError, match="it is not reached") as caught:
        AuthorityClient(found)(CSR)
    assert caught.value.reason == "unavailable"


def test_a_root_that_changes_on_disk_is_used_next_time(tmp_path: Path) -> None:
    with certificate_server() as server:
        found = settings(server, tmp_path)
        client = AuthorityClient(found)
        (tmp_path / "root.pem").write_bytes(authority("another").pem)
        with pytest.raises(RefusedError, match="does not verify against the root certificate"):
            client(CSR)
        (tmp_path / "root.pem").write_bytes(server.root.pem)
        assert client(CSR)
        client.close()


def test_garbage_is_no_answer(tmp_path: Path) -> None:
    with certificate_server() as server:
        server.answer = lambda asked: b"\xff\xff\xff"
        with pytest.raises(RefusedError, match="no IstioCertificateResponse") as caught:
            AuthorityClient(settings(server, tmp_path))(CSR)
    assert caught.value.reason == "bad_answer"


def test_a_name_of_its_own_is_verified(tmp_path: Path) -> None:
    with certificate_server() as server:
        found = settings(server, tmp_path)
        assert AuthorityClient(replace(found, server_name="istiod.istio-system.svc"))(CSR)
        with pytest.raises(RefusedError, match=r"not for this host name|is not reached"):
            AuthorityClient(replace(found, server_name="other.istio-system.svc"))(CSR)


def test_without_tls_there_is_no_root(tmp_path: Path) -> None:
    with certificate_server(tls=False) as server:
        found = replace(settings(server, tmp_path), tls=False, root_cert="/nowhere", token_in_the_clear=True)
        assert AuthorityClient(found)(CSR)
        assert AuthorityClient(replace(found, token_file="", token_in_the_clear=False))(CSR)


def test_a_token_is_not_sent_in_the_clear(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once: nobody is asked again and again."""
    with certificate_server(tls=False) as server:
        found = replace(settings(server, tmp_path), tls=False)
        with pytest.raises(RefusedError, match="everybody on the way could read the token") as caught:
            AuthorityClient(found)(CSR)
        assert caught.value.final
        assert not server.asked
        identity = Identity(found)
        identity.start()
        wait_for(lambda: sum(identity.state().failures.values()) > 1)
        identity.close()
        assert not server.asked
    assert identity.settled
    assert caplog.text.count("everybody on the way could read the token") == 1
    assert "first-token" not in caplog.text


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "cannot read the token"), ("", "is empty"), ("a\x01b", "holds something that is no token")],
)
def test_a_token_that_is_none(tmp_path: Path, content: str | None, text: str) -> None:
    with certificate_server() as server:
        found = settings(server, tmp_path)
        (tmp_path / "token").unlink()
        if content is not None:
            (tmp_path / "token").write_text(content)
        with pytest.raises(RefusedError, match=text):
            AuthorityClient(found)(CSR)


def test_a_root_that_is_none(tmp_path: Path) -> None:
    with certificate_server() as server:
        found = settings(server, tmp_path)
        (tmp_path / "root.pem").write_text("no PEM")
        with pytest.raises(RefusedError, match="holds no certificate in PEM"):
            AuthorityClient(found)(CSR)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("h.eyJzdWIiOiAic3lzdGVtOnNlcnZpY2VhY2NvdW50OnNob3A6ZnJvbnQifQ.s", ("shop", "front")),
        ("h.eyJzdWIiOiAic29tZWJvZHkifQ.s", None),
        ("h", None),
        ("h.!.s", None),
    ],
)
def test_the_account_of_a_token(tmp_path: Path, token: str, expected: tuple[str, str] | None) -> None:
    (tmp_path / "token").write_text(token)
    assert account_of_token(str(tmp_path / "token")) == expected
    assert account_of_token(str(tmp_path / "none")) is None
