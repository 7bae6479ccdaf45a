"""`serve --kubernetes`: the options of what its leader writes."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..controller.duties import Duties, Duty
    from ..controller.leading import Election
    from ..xds.controlplane import Plane
    from ..xds.controlplane.authority.authority import Authority

_OPTIONS = (
    click.option("--write-status", is_flag=True, help="write the status of routes whose parents are services"),
    click.option("--write-refusals", is_flag=True, help="write why an object of Istio's is refused into its status"),
    click.option(
        "--controller-name", default="proxyless.dev/controller", metavar="NAME", help="as whom", show_default=True
    ),
    click.option("--publish-root", metavar="NAME", help="write the authority's root as this ConfigMap everywhere"),
    click.option("--webhook-config", metavar="NAME", help="write it into this ValidatingWebhookConfiguration, too"),
    click.option("--replica", metavar="NAME", help="this replica, in the election; by default the Pod's name"),
)


def options(command: Callable[..., int]) -> Callable[..., int]:
    """Adds them to a command."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command


@dataclass(frozen=True, slots=True)
class Leading:
    """The election that this replica takes part in, and what it does when it leads."""

    election: Election
    duties: Duties


@dataclass(frozen=True, slots=True)
class ControllerSaid:
    """What the command line says."""

    write_status: bool
    write_refusals: bool
    controller_name: str
    publish_root: str | None
    webhook_config: str | None
    replica: str | None

    def judge(self, *, kubernetes: bool, ca_dir: str | None, webhook: str | None, webhook_cert: str | None) -> None:
        """Raises ConfigurationError: options that do not go together."""
        if not kubernetes and self._asked:
            raise ConfigurationError(
                "--write-status, --write-refusals, --publish-root and --webhook-config are for --kubernetes"
            )
        if self.publish_root and ca_dir is None:
            raise ConfigurationError("--publish-root needs --ca-dir: there is no root")
        if self.webhook_config and (webhook is None or webhook_cert is not None or ca_dir is None):
            raise ConfigurationError(
                "--webhook-config needs --webhook-listen with the authority's certificate (--ca-dir)"
            )

    def start(
        self, stack: ExitStack, kubeconfig: str | None, namespace: str, plane: Plane, authority: Authority | None
    ) -> Leading | None:
        """Takes part in the election until the stack is closed; None where nothing is to be written."""
        from ..controller.duties import Duties
        from ..controller.leading import Election
        from ..controller.objects import ObjectStatuses
        from ..controller.publishing import RootCertificates, WebhookRoots
        from ..controller.statuses import RouteStatuses
        from ..xds.controlplane.apiserver import ApiServer, configured

        if not self._asked:
            return None
        api = ApiServer(configured(kubeconfig))
        duties: list[Duty] = []
        if self.publish_root and authority is not None:
            duties.append(RootCertificates(api, self.publish_root, lambda: authority.roots))
        if self.webhook_config and authority is not None:
            duties.append(WebhookRoots(api, self.webhook_config, lambda: authority.roots))
        if self.write_status:
            duties.append(RouteStatuses(api, self.controller_name, now=time.time))
        if self.write_refusals:
            duties.append(ObjectStatuses(api, lambda: plane.state.faults, now=time.time, clock=time.monotonic))
        election = Election(api, namespace, self._identity())
        made = Duties(election, duties, lambda: plane.state.world)
        stack.callback(election.stop)
        stack.callback(made.stop)  # first: nothing is written by whoever has given the lease back
        election.start()
        made.start()
        return Leading(election, made)

    @property
    def _asked(self) -> bool:
        return bool(self.write_status or self.write_refusals or self.publish_root or self.webhook_config)

    def _identity(self) -> str:
        """A name that no other replica has, not even the one that this one follows in a Pod of the same name."""
        return f"{self.replica or os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4()}"
