"""The options of `serve` that are about TLS: which go together, and the names that the certificate has."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from proxyless.cli._authority import Said
from proxyless.errors import ConfigurationError


def said(
    tls: str | None = None, names: tuple[str, ...] = (), folder: Path | None = None, tokens: Path | None = None
) -> Said:
    return Said(tls, None, str(folder) if folder else None, str(tokens) if tokens else None, False, None, 3600, names)


def test_without_any_there_is_no_tls() -> None:
    assert said().security(None) is None


def test_what_does_not_go_together_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--tls-listen HOST:PORT is missing"):
        said(tokens=tmp_path / "tokens").security(None)
    with pytest.raises(ConfigurationError, match="needs --ca-dir"):
        said("127.0.0.1:0").security(None)
    known = said("127.0.0.1:0", folder=tmp_path / "ca")
    with pytest.raises(ConfigurationError, match="nobody else is let in"):
        known.security(known.authority(lambda: "cluster.local"))


def test_the_certificate_has_the_names_that_are_said(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.jsonl"
    tokens.touch(mode=0o600)
    options = said("0.0.0.0:15012", ("proxyless-controller.mesh.svc", "10.96.0.9"), tmp_path / "ca", tokens)
    security = options.security(options.authority(lambda: "cluster.local"))
    assert security is not None
    _, chain = security.service.authority.server_pair(security.names)
    leaf = x509.load_pem_x509_certificates(chain)[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "proxyless-controller.mesh.svc" in names.get_values_for_type(x509.DNSName)
    assert "10.96.0.9" in map(str, names.get_values_for_type(x509.IPAddress))
