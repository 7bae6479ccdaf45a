"""Certificates in files: followed as they change, and never half."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from proxyless.xds.identity.files import FileStore, system_roots
from proxyless.xds.identity.identity import Identity
from proxyless.xds.identity.secrets import IdentityError, KeyPair
from proxyless.xds.model.tls import CertificateFiles, DataSource, SecretName, Validation
from tests.support.certificates import authority, spiffe, write
from tests.support.waiting import wait_for

ROOT = authority()


def mounted(folder: Path, pair: KeyPair, roots: bytes, version: str) -> None:
    """As the kubelet writes a Secret: files in a new folder, and a link that is moved over."""
    (folder / version).mkdir(parents=True)
    (folder / version / "cert.pem").write_bytes(pair.chain)
    (folder / version / "key.pem").write_bytes(pair.key)
    (folder / version / "root.pem").write_bytes(roots)
    (folder / "next").symlink_to(version)
    (folder / "next").rename(folder / "..data")
    for name in ("cert.pem", "key.pem", "root.pem"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


def test_a_mounted_secret_is_followed_as_its_link_moves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "proxyless.identity")
    first, second, other = ROOT.workload("front"), ROOT.workload("front"), authority("other")
    mounted(tmp_path, first, ROOT.pem, "v1")
    store = FileStore(lambda: 100.0)
    chain, key, root = (DataSource(str(tmp_path / each)) for each in ("cert.pem", "key.pem", "root.pem"))
    assert store.pair("default", chain, key) == first
    assert store.bundle("ROOTCA", root) == ROOT.pem
    assert not store.poll()
    mounted(tmp_path, second, other.pem, "v2")
    assert store.poll()
    assert store.pair("default", chain, key) == second
    assert store.bundle("ROOTCA", root) == other.pem
    assert store.rotations() == {"default": 1, "ROOTCA": 1}
    assert f"default: read anew ({spiffe('front')})" in caplog.text
    assert [each.kind for each in store.held()] == ["leaf", "root"]


def test_a_chain_whose_key_is_not_there_yet_does_not_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = ROOT.workload("front"), ROOT.workload("front")
    chain, key = write(first, tmp_path)
    store = FileStore(lambda: 100.0)
    sources = DataSource(str(chain)), DataSource(str(key))
    store.pair("default", *sources)
    chain.write_bytes(second.chain)
    assert not store.poll()
    assert not store.poll()
    assert store.pair("default", *sources) == first
    assert caplog.text.count("the private key is not the one of the certificate") == 1
    assert "what was read before stays in use" in caplog.text
    assert store.errors()
    key.write_bytes(second.key)
    assert store.poll()
    assert store.pair("default", *sources) == second
    assert not store.errors()


def test_what_is_not_there_yet_is_found_later(tmp_path: Path) -> None:
    store = FileStore(lambda: 100.0)
    sources = DataSource(str(tmp_path / "leaf-cert.pem")), DataSource(str(tmp_path / "leaf-key.pem"))
    with pytest.raises(IdentityError, match=r"cannot read the certificate chain .*No such file"):
        store.pair("default", *sources)
    pair = ROOT.workload("front")
    write(pair, tmp_path)
    assert store.poll()
    assert store.pair("default", *sources) == pair


@pytest.mark.parametrize(
    ("chain", "key", "text"),
    [
        ("", "key", "holds no certificate in PEM"),
        ("chain", "", "the private key cannot be read"),
        ("chain", "-----BEGIN PRIVATE KEY-----\nS3cr3t\n-----END PRIVATE KEY-----", "the private key cannot be read"),
        ("chain", "chain", "the private key cannot be read"),
    ],
)
def test_what_cannot_be_used_says_so_without_the_key(chain: str, key: str, text: str) -> None:
    pair = ROOT.workload("front")
    given = {"chain": pair.chain, "key": pair.key}
    sources = [DataSource(inline=given.get(each, each.encode())) for each in (chain, key)]
    with pytest.raises(IdentityError, match=text) as caught:
        FileStore(lambda: 100.0).pair("default", *sources)
    assert "S3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_bundle_is_refused_only_where_nothing_of_it_can_be_read(caplog: pytest.LogCaptureFixture) -> None:
    bad = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    store = FileStore(lambda: 100.0)
    assert store.bundle("ROOTCA", DataSource(inline=bad + ROOT.pem + ROOT.pem)) == ROOT.pem
    assert "ROOTCA: 1 of the certificates cannot be read" in caplog.text
    with pytest.raises(IdentityError, match="that can be read"):
        store.bundle("ROOTCA", DataSource(inline=bad))


def test_a_file_that_is_too_large_is_no_certificate(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(5_000_000)
    with pytest.raises(IdentityError, match="is larger than"):
        FileStore(lambda: 100.0).bundle("ROOTCA", DataSource(str(path)))


# -- through the identity ----------------------------------------------------------------------------------------


def test_names_say_files(tmp_path: Path) -> None:
    pair = ROOT.workload("front")
    chain, key = write(pair, tmp_path)
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    identity = Identity(None)
    try:
        assert identity.key_pair(SecretName(f"file-cert:{chain}~{key}")) == pair
        found = identity.roots(Validation(secret=SecretName(f"file-root:{tmp_path}/root.pem")))
        assert found is not None
        assert found.pem == ROOT.pem
        assert identity.key_pair(CertificateFiles(DataSource(str(chain)), DataSource(inline=pair.key))) == pair
        inline = identity.roots(Validation(DataSource(inline=ROOT.pem), crl=DataSource(inline=ROOT.revoked(pair))))
        assert inline is not None
        assert inline.pem == ROOT.pem
        assert b"X509 CRL" in inline.crl
        assert identity.roots(Validation()) is None
        for name in ("file-cert:only", "default"):
            with pytest.raises(IdentityError, match=name):
                identity.key_pair(SecretName(name))
        with pytest.raises(IdentityError, match="no identity gives the secret 'ROOTCA'"):
            identity.roots(Validation(secret=SecretName("ROOTCA")))
        with pytest.raises(IdentityError, match="discovery responses"):
            identity.key_pair(SecretName("x", path="/etc/secret.yaml"))
    finally:
        identity.close()


@pytest.mark.skipif(not Path("/etc/ssl/certs/ca-certificates.crt").exists(), reason="no authorities on this system")
def test_the_systems_roots() -> None:
    identity = Identity(None)
    try:
        for wanted in (Validation(system_roots=True), Validation(secret=SecretName("file-root:system"))):
            found = identity.roots(wanted)
            assert found is not None
            assert found.pem.count(b"BEGIN CERTIFICATE") > 10
        assert system_roots().filename
    finally:
        identity.close()


def test_each_trust_domain_has_roots_of_its_own(tmp_path: Path) -> None:
    other = authority("other")
    wanted = Validation(
        spiffe_domains=(
            ("a.example", DataSource(inline=ROOT.pem)),
            ("b.example", DataSource(inline=other.pem)),
            ("a.example", DataSource(inline=other.pem)),
        )
    )
    found = Identity(None).roots(wanted)
    assert found is not None
    assert found.domains == {"a.example": ROOT.pem + other.pem, "b.example": other.pem}
    assert other.pem in found.pem


def test_an_identity_of_files_tells_of_changes(tmp_path: Path) -> None:
    pair, second = ROOT.workload("front"), ROOT.workload("front")
    chain, key = write(pair, tmp_path)
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    identity = Identity.from_files(chain, key, tmp_path / "root.pem")
    identity._look_s = 0.01
    told: list[int] = []
    end = identity.on_change(lambda: told.append(identity.generation))
    identity.start()
    try:
        assert identity.ready
        assert identity.settled
        assert identity.key_pair(SecretName("default")) == pair
        found = identity.roots(Validation(secret=SecretName("ROOTCA")))
        assert found is not None
        assert found.pem == ROOT.pem
        identity.add_roots(authority("more").pem)
        assert told == [2]
        found = identity.roots(Validation(secret=SecretName("ROOTCA")))
        assert found is not None
        assert found.pem.count(b"BEGIN") == 2
        for name, content in (("key", second.key), ("cert", second.chain)):
            (tmp_path / "new").write_bytes(content)
            os.replace(tmp_path / "new", key if name == "key" else chain)  # noqa: PTH105  # atomically, over a file
        wait_for(lambda: identity.key_pair(SecretName("default")) == second)
        wait_for(lambda: told == [2, 3])
        state = identity.state()
        assert state.rotations == {"default": 1, "ROOTCA": 0}
        assert state.ready
        assert [each.subject for each in state.certificates] == [spiffe("front"), "CN=test authority"]
        end()
        end()
        identity.add_roots(b"")
        assert told == [2, 3]
    finally:
        identity.close()


def test_files_that_are_not_there_are_waited_for(tmp_path: Path) -> None:
    identity = Identity.from_files(tmp_path / "leaf-cert.pem", tmp_path / "leaf-key.pem")
    identity._look_s = 0.01
    identity.start()
    try:
        assert not identity.settled
        assert "cannot read the certificate chain" in identity.state().error
        write(ROOT.workload("front"), tmp_path)
        wait_for(lambda: identity.settled)
        with pytest.raises(IdentityError, match="peers cannot be verified"):
            identity.roots(Validation(secret=SecretName("ROOTCA")))
    finally:
        identity.close()
