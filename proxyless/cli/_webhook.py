"""`serve --webhook-listen`: the options of the validating webhook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..controller.webhook import Webhook
    from ..xds.controlplane import Plane
    from ..xds.controlplane.authority.authority import Authority
    from ..xds.identity.secrets import KeyPair

_OPTIONS = (
    click.option("--webhook-listen", metavar="HOST:PORT", help="check objects that are written, over HTTPS there"),
    click.option("--webhook-cert", metavar="FILE", help="the webhook's certificate (PEM); by default the authority's"),
    click.option("--webhook-key", metavar="FILE", help="and its key"),
    click.option("--webhook-strict", is_flag=True, help="refuse what cannot do what it says in the mesh as it is, too"),
)


def options(command: Callable[..., int]) -> Callable[..., int]:
    """Adds them to a command."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command


@dataclass(frozen=True, slots=True)
class WebhookSaid:
    """What the command line says."""

    listen: str | None
    cert: str | None
    key: str | None
    strict: bool

    def judge(self) -> None:
        """Raises ConfigurationError: options that do not go together."""
        if self.listen is None and any((self.cert, self.key, self.strict)):
            raise ConfigurationError("--webhook-cert, --webhook-key and --webhook-strict are for --webhook-listen")
        if bool(self.cert) != bool(self.key):
            raise ConfigurationError("--webhook-cert FILE and --webhook-key FILE go together")

    def serve(self, plane: Plane, authority: Authority | None, names: tuple[str, ...]) -> Webhook | None:
        """The webhook, serving; None where it is not asked for.

        Raises:
            ConfigurationError: there is no certificate, or the address is in use.
        """
        if self.listen is None:
            return None
        from ..controller.webhook import Webhook

        return Webhook(self.listen, self._pair(authority, names), lambda: plane.state.world, strict=self.strict)

    def _pair(self, authority: Authority | None, names: tuple[str, ...]) -> Callable[[], KeyPair]:
        from ..controller.webhook import CertificateFiles
        from ..xds.identity.secrets import KeyPair

        if self.cert and self.key:
            return CertificateFiles(self.cert, self.key)
        if authority is None:
            raise ConfigurationError("--webhook-listen needs --webhook-cert and --webhook-key, or --ca-dir")

        def own() -> KeyPair:
            key, chain = authority.server_pair(names)
            return KeyPair(chain, key)

        return own
