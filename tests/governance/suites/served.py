"""Apps served by a context of the mesh's: on the recorded inbound chains, with certificates held in memory."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any

import httpx
import hypercorn.config
import pytest
import uvicorn

import proxyless
from proxyless.governance.suites.tls import MeshContext
from proxyless.xds.identity.secrets import KeyPair
from proxyless.xds.identity.server import ServerContexts
from tests.support import serving
from tests.support.certificates import Authority, HeldSecrets, write
from tests.support.recorded import FOLDER
from tests.support.serving import Serve

LEDGER, PAYMENT, FRONTEND = (FOLDER / "shop/xds" / name for name in ("ledger", "payment", "frontend"))
ISTIO_ALPN = ("istio-http/1.1", "istio", "http/1.1")


def context_of(mesh: proxyless.Mesh, secrets: HeldSecrets, port: int = 8080) -> MeshContext:
    """What `proxyless.tls.server_context` makes, with these secrets."""
    return MeshContext(mesh.runtime, ServerContexts(secrets), port)


class _Offering(ssl.SSLContext):
    """Offers what it was told first, whatever a library says later."""

    offers: tuple[str, ...] = ()

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        super().set_alpn_protocols(self.offers)


def client_context(authority: Authority, pair: KeyPair | None, alpn: tuple[str, ...] = ISTIO_ALPN) -> ssl.SSLContext:
    """A workload that calls, and looks at nothing but the authority."""
    context = _Offering(ssl.PROTOCOL_TLS_CLIENT)
    context.offers = alpn
    context.check_hostname = False
    context.load_verify_locations(cadata=authority.pem.decode())
    if pair is not None:
        with tempfile.TemporaryDirectory() as folder:
            context.load_cert_chain(*write(pair, Path(folder)))
    return context


def turned_away(
    where: str, ca: Authority, cases: dict[str, tuple[KeyPair | None, str]], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody of these gets in, and the log says who was expected and what is wrong with each."""
    for name, (pair, said) in cases.items():
        caplog.clear()
        context = client_context(ca, pair)
        with httpx.Client(verify=context, trust_env=False) as client, pytest.raises(httpx.TransportError):
            client.get(f"https://{where}/{name}")
        assert said in caplog.text, name
        assert "spiffe://cluster.local/" in caplog.text, name


def by_uvicorn(context: ssl.SSLContext, **options: Any) -> Serve:
    def secured(config: uvicorn.Config) -> uvicorn.Config:
        config.load()
        config.ssl = context
        return config

    return serving.by_uvicorn(secured, **options)


def by_hypercorn(context: ssl.SSLContext) -> Serve:
    class Config(hypercorn.config.Config):
        ssl_enabled = True

        def create_ssl_context(self) -> ssl.SSLContext:
            return context

    return serving.by_hypercorn(kind=Config)
