"""TLS contexts over memory: revocation, trust domains, resumption, secrets that change meanwhile."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.identity.client import ClientContexts
from proxyless.xds.identity.identity import Identity
from proxyless.xds.identity.secrets import IdentityError, KeyPair, Roots
from proxyless.xds.identity.server import ServerContext, ServerContexts
from proxyless.xds.model.tls import CommonTls, DataSource, DownstreamTls, SecretName, UpstreamTls, Validation
from tests.support.certificates import Authority, HeldSecrets, authority, spiffe, write

CA = authority()
OTHER = authority("other")
COMMON = CommonTls(SecretName("default"), Validation(secret=SecretName("ROOTCA")), maximum="TLSv1_3")
SERVER = DownstreamTls(COMMON, require_client_certificate=True)
H2 = frozenset({"h2"})
ME = CA.workload("server")


def shaken(server: ServerContext, client: Any) -> tuple[Any, Any]:
    """Both ends of a handshake that is complete."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    one, two = client.wrap_bio(back, there), server.context.wrap_bio(there, back, server_side=True)
    open_ends = [one, two]
    for _ in range(10):
        for each in list(open_ends):
            try:
                each.do_handshake()
                open_ends.remove(each)
            except ssl.SSLWantReadError:
                pass
    assert not open_ends
    two.write(b"x")
    assert one.read(1) == b"x"
    return one, two


def client(pair: KeyPair, roots: Roots = CA.roots) -> Any:
    return ClientContexts(HeldSecrets(pair, roots)).context(UpstreamTls(COMMON), (), (), "", "a")


def server(roots: Roots, validation: Validation | None = None) -> ServerContext:
    tls = SERVER if validation is None else replace(SERVER, common=replace(COMMON, validation=validation))
    return ServerContexts(HeldSecrets(ME, roots)).terminator(tls, H2)


def test_a_server_looks_at_the_list_that_came_with_the_roots() -> None:
    gone, good = CA.workload("gone"), CA.workload("good")
    made = server(Roots(CA.pem, crl=CA.revoked(gone)))
    shaken(made, client(good))
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        shaken(made, client(gone))


def test_a_server_looks_at_leaves_alone_where_it_is_told_so() -> None:
    between = CA.intermediate()
    roots = Roots(CA.pem, crl=between.revoked())
    shaken(server(roots, replace(SERVER.common.validation or Validation(), crl_of_leaf_only=True)), workload(between))
    with pytest.raises(ssl.SSLCertVerificationError, match="CRL"):
        shaken(server(roots), workload(between))


def workload(of: Authority) -> Any:
    return client(of.workload("caller"))


@pytest.mark.parametrize("crl", [OTHER.pem, b"nothing"])
def test_what_is_no_list_is_refused_and_its_certificates_are_not_trusted(crl: bytes) -> None:
    with pytest.raises(ssl.SSLError, match="holds no list in PEM"):
        server(Roots(CA.pem, crl=crl))
    with pytest.raises(IdentityError, match="holds no list in PEM"):
        client(CA.workload("caller"), Roots(CA.pem, crl=crl))


def test_a_certificate_among_the_lists_is_not_trusted() -> None:
    made = server(Roots(CA.pem, crl=OTHER.pem + CA.revoked() + OTHER.revoked()))
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(made, client(OTHER.workload("caller")))


def test_a_list_that_is_emptied_does_not_revoke_nothing(tmp_path: Path) -> None:
    crl, roots = tmp_path / "crl.pem", tmp_path / "root.pem"
    roots.write_bytes(CA.pem)
    wanted = Validation(secret=SecretName(f"file-root:{roots}"), crl=DataSource(str(crl)))
    crl.write_bytes(b"")
    identity = Identity(None)
    try:
        with pytest.raises(IdentityError, match="holds no list in PEM"):
            identity.roots(wanted)
    finally:
        identity.close()


@pytest.mark.parametrize("kind", ["file-root:", "ROOTCA"])
def test_trust_domains_of_the_context_count_beside_roots_in_files(kind: str, tmp_path: Path) -> None:
    roots = tmp_path / "root.pem"
    roots.write_bytes(CA.pem)
    identity = Identity.from_files(*write(ME, tmp_path), roots)
    name = kind if kind == "ROOTCA" else f"{kind}{roots}"
    wanted = Validation(secret=SecretName(name), spiffe_domains=(("other", DataSource(inline=OTHER.pem)),))
    try:
        found = identity.roots(wanted)
        assert found is not None
        assert set(found.domains) == {"other"}
    finally:
        identity.close()


DOMAINS = Roots(b"", {"cluster.local": CA.pem, "other": OTHER.pem})


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_trust_domains_are_looked_at_on_every_connection_from_the_same_client(version: ssl.TLSVersion) -> None:
    made = server(DOMAINS)
    caller = client(CA.workload("caller"), DOMAINS)
    caller.context.maximum_version = version
    for _ in range(3):
        one, two = shaken(made, caller)
        assert made.examine(two).uri_sans == (spiffe("caller"),)
        del one, two


def test_another_domains_authority_does_not_vouch_for_this_one() -> None:
    made = server(DOMAINS)
    _, tls = shaken(made, client(OTHER.workload("caller"), DOMAINS))
    with pytest.raises(ssl.SSLCertVerificationError, match="another domain's"):
        made.examine(tls)


def test_a_certificate_without_a_domain_is_of_none() -> None:
    made = server(Roots(b"", {"": CA.pem}))
    _, tls = shaken(made, client(CA.leaf(dns=("a.b",), name="dns")))
    with pytest.raises(ssl.SSLCertVerificationError, match="a trust domain"):
        made.examine(tls)


class Changing(HeldSecrets):
    """Others have asked for a context of newer secrets while the first was being made."""

    contexts: ServerContexts | None = None

    def roots(self, wanted: Validation) -> Roots | None:
        found = super().roots(wanted)
        contexts, self.contexts = self.contexts, None
        if contexts is not None:
            self.rotate(roots=OTHER.roots)
            contexts.terminator(replace(SERVER, require_sni=True), H2)
        return found


def test_a_context_of_older_secrets_is_not_kept_for_newer_ones() -> None:
    secrets = Changing(ME, CA.roots)
    contexts = secrets.contexts = ServerContexts(secrets)
    contexts.terminator(SERVER, H2)
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(contexts.terminator(SERVER, H2), client(CA.workload("caller")))
