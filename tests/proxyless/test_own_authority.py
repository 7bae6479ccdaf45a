"""Meshes that are their own control planes, and share the folder of a development authority."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from proxyless import Mesh, Node
from proxyless.errors import ConfigurationError
from proxyless.xds.controlplane.authority.directory import Directory
from proxyless.xds.model.tls import SecretName, Validation


def mesh(folder: Path, account: str, ca_dir: Path) -> Mesh:
    istio = folder / "istio"
    istio.mkdir(exist_ok=True)
    node = Node(app=account, namespace="shop", service_account=account, ip="127.0.0.1")
    return Mesh.from_config(istio, node=node, ca_dir=ca_dir, registry=False)


def test_processes_that_share_a_folder_know_each_other(tmp_path: Path) -> None:
    with mesh(tmp_path, "cart", tmp_path / "ca") as cart, mesh(tmp_path, "payment", tmp_path / "ca") as payment:
        for each, account in ((cart, "cart"), (payment, "payment")):
            each.wait_ready(30)
            leaf = x509.load_pem_x509_certificate(each.identity.key_pair(SecretName("default")).chain)
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uris = names.get_values_for_type(x509.UniformResourceIdentifier)
            assert uris == [f"spiffe://cluster.local/ns/shop/sa/{account}"]
            leaf.verify_directly_issued_by(Directory(tmp_path / "ca", 0.0).current().roots[0])
        wanted = Validation(secret=SecretName("ROOTCA"))
        assert cart.identity.roots(wanted) == payment.identity.roots(wanted)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "notes").touch()
    with pytest.raises(ConfigurationError, match="holds no authority"):
        mesh(tmp_path, "cart", tmp_path / "ca")


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no name of a service account"):
        mesh(tmp_path, "a/b", tmp_path / "ca")


def test_an_authority_that_breaks_later_is_said(tmp_path: Path) -> None:
    with mesh(tmp_path, "cart", tmp_path / "ca") as cart:
        cart.wait_ready(30)
        (tmp_path / "ca" / "ca-key.pem").chmod(0o644)
        settings = cart._bootstrap.identity
        ask = getattr(settings, "ask")  # noqa: B009
        with pytest.raises(Exception, match="chmod 600"):
            ask(b"")
