"""Who asks: every kind of workload that both folders have, or who is named.

Pods that share namespace, labels, service account and locality are one kind: nothing that is decided for them can
differ. Processes of a Deployment that says where they are count as its Pods. A folder without either is asked about by
one client in each of its namespaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError
from ..xds.controlplane.api.kubernetes import Deployment
from ..xds.controlplane.registry import processes
from ..xds.controlplane.registry.endpoints import Workload
from ..xds.controlplane.registry.world import World
from ..xds.identity.bootstrap import BootstrapError, Node

INSTANCE_LABELS = frozenset(
    {
        "apps.kubernetes.io/pod-index",
        "controller-revision-hash",
        "pod-template-generation",
        "pod-template-hash",
        "statefulset.kubernetes.io/pod-name",
    }
)
"""Labels that tell Pods of one workload apart."""

NODE_KEYS = ("app", "namespace", "service_account", "ip", "pod", "locality")


@dataclass(frozen=True, slots=True)
class Client:
    """One kind of client, and the node that stands for it on each side."""

    app: str
    namespace: str
    labels: tuple[tuple[str, str], ...]
    service_account: str
    locality: str
    old: Node
    new: Node

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.app}.{self.namespace}" if self.app else f"anybody in {self.namespace}"

    def document(self) -> dict[str, Any]:
        """Who it is."""
        return {
            "name": self.name,
            "app": self.app,
            "namespace": self.namespace,
            "service_account": self.service_account,
            "labels": dict(self.labels),
            "locality": self.locality,
        }


Identity = tuple[str, tuple[tuple[str, str], ...], str, str]


def clients_of(old: World, new: World) -> tuple[list[Client], list[Client], list[Client]]:
    """The kinds that both sides have, that only the old one has, and that only the new one has."""
    before, after = _kinds(old), _kinds(new)
    both = [_client(key, before[key], after[key]) for key in sorted(before.keys() & after.keys())]
    gone = [_client(key, before[key], before[key]) for key in sorted(before.keys() - after.keys())]
    come = [_client(key, after[key], after[key]) for key in sorted(after.keys() - before.keys())]
    if not before and not after:
        for namespace in sorted(_namespaces(old) | _namespaces(new)):
            node = Node(namespace=namespace, ip="127.0.0.1", pod="nobody")
            both.append(Client("", namespace, (), "", "", node, node))
    return both, gone, come


def client_of(said: str) -> Client:
    """The client that `--node app=A,namespace=N,label.K=V...` names.

    Raises:
        ConfigurationError: it names none.
    """
    given: dict[str, str] = {}
    labels: dict[str, str] = {}
    for part in said.split(","):
        key, mark, value = part.partition("=")
        if not mark or not value or (key not in NODE_KEYS and not key.startswith("label.")):
            known = ", ".join((*NODE_KEYS, "label.NAME"))
            raise ConfigurationError(f"--node: {part!r} is not KEY=VALUE with one of {known}")
        if key.startswith("label."):
            labels[key.removeprefix("label.")] = value
        else:
            given[key] = value
    app, namespace = given.pop("app", ""), given.pop("namespace", "default")
    labels = {**({"app": app} if app else {}), **labels}
    try:
        node = Node(
            app=app,
            namespace=namespace,
            ip=given.get("ip", "127.0.0.1"),
            pod=given.get("pod", app or "nobody"),
            service_account=given.get("service_account", ""),
            labels=labels,
            locality=given.get("locality"),
        )
    except BootstrapError as error:
        raise ConfigurationError(f"--node: {error}") from error
    locality = given.get("locality", "")
    return Client(app, namespace, tuple(sorted(labels.items())), node.service_account, locality, node, node)


def _kinds(world: World) -> dict[Identity, Node]:
    found: dict[Identity, Node] = {}
    for (namespace, name), pod in sorted(world.pods.items()):
        _add(found, world.workloads[namespace, name], name, pod.meta.labels, pod.spec.status.pod_ip)
    for deployment in world.of_kind("Deployment", Deployment):  # whose annotation says where its processes are
        places = [each.address for each in processes.processes(deployment)]
        labels = deployment.spec.template.metadata.labels
        workload = processes.workload(deployment, world.mesh)
        _add(found, workload, deployment.meta.name, labels, places[0] if places else "")
    return found


def _add(found: dict[Identity, Node], workload: Workload, name: str, labels: Mapping[str, str], ip: str) -> None:
    kept = tuple(sorted((k, v) for k, v in labels.items() if k not in INSTANCE_LABELS))
    account = workload.service_account.rpartition("/")[2]  # of a SPIFFE identity
    identity = workload.namespace, kept, account, workload.locality
    if identity not in found:
        found[identity] = Node(
            app=_app(kept),
            namespace=workload.namespace,
            ip=ip or "127.0.0.1",
            pod=name,
            service_account=account,
            labels=dict(kept),
            locality=workload.locality or None,
        )


def _app(labels: Iterable[tuple[str, str]]) -> str:
    known = dict(labels)
    return known.get("app") or known.get("app.kubernetes.io/name") or ""


def _client(identity: Identity, old: Node, new: Node) -> Client:
    namespace, labels, account, locality = identity
    return Client(_app(labels) or old.pod, namespace, labels, account, locality, old, new)


def _namespaces(world: World) -> set[str]:
    return {ref.namespace for ref in world.by_ref if ref.namespace}


MOST_NAMES = 6
"""So many names of a list are told; of a longer one, one less and the number of the rest."""


def named(clients: Sequence[Client], everybody: Sequence[Client]) -> str:
    """Clients for people: their names, with labels and locality where a namesake is not among them."""
    if len(clients) == len(everybody) and len(clients) > 1:
        return f"all {len(everybody)} kinds of clients"
    others = {each.name for each in everybody if each not in clients}
    return folded(dict.fromkeys(_told_apart(each) if each.name in others else each.name for each in clients))


def folded(names: Iterable[str]) -> str:
    """A list of names for people; a long one says how many more there are."""
    found = list(names)
    if len(found) <= MOST_NAMES:
        return ", ".join(found)
    return f"{', '.join(found[: MOST_NAMES - 1])} ({len(found) - MOST_NAMES + 1} more)"


def _told_apart(client: Client) -> str:
    labels = ",".join(f"{name}={value}" for name, value in client.labels if name != "app" and "/" not in name)
    said = " ".join(filter(None, (labels, client.locality)))
    return f"{client.name} ({said})" if said else client.name
