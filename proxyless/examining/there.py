"""A Pod, from outside: what it was given, by the API server; and how its modes of mTLS go with those of others."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from . import clock, modes, sidecar
from .credentials import AUDIENCE
from .finding import ERROR, GOOD, UNKNOWN, WARNING, Finding

if TYPE_CHECKING:
    from ..xds.controlplane.apiserver import ApiServer
    from ..xds.controlplane.registry.world import World

Document = dict[str, Any]
PROXY = "istio-proxy"
NEEDED = ("POD_NAME", "POD_NAMESPACE", "INSTANCE_IP")
WANTED = frozenset(
    {
        "ConfigMap",
        "DestinationRule",
        "EndpointSlice",
        "Namespace",
        "PeerAuthentication",
        "Pod",
        "Service",
        "ServiceEntry",
        "WorkloadEntry",
    }
)
"""Kinds by which modes of mTLS are told; the others need not be readable."""
_INJECT = "`proxyless inject` puts it into the manifest (docs/inject.md)"


def examine_pod(
    namespace: str, name: str, *, kubeconfig: str | None, folder: str | None, timeout_s: float
) -> Iterator[Finding]:
    """Everything that is seen of a Pod without being it.

    Raises:
        ConfigurationError: the folder cannot be read, or nothing says where the API server is.
    """
    if folder is not None:
        yield from _in_folder(namespace, name, folder)
        return
    from ..xds.controlplane.apiserver import ApiError, ApiServer, ConfigurationMissing, configured

    try:
        api = ApiServer(configured(kubeconfig))
    except ConfigurationMissing as error:
        raise ConfigurationError(str(error)) from error
    try:
        moment = api.date()
        pod = api.get(f"/api/v1/namespaces/{namespace}/pods/{name}", timeout_s=timeout_s)
    except ApiError as error:
        do = "is the name right (kubectl get pods), and may you get pods?"
        yield Finding("pod", ERROR, f"{namespace}/{name} cannot be read ({error.reason}): {error}", do)
        return
    if moment:
        yield clock.judged(time.time() - parsedate_to_datetime(moment).timestamp(), f"the API server {api.url}")
    yield from given(pod)
    yield from _root(api, namespace, _map_of(pod))
    certificate = _token(pod) is not None and _env(pod).get("PROXYLESS_IDENTITY") != "none"
    yield from _modes(api, namespace, pod, timeout_s, certificate=certificate)


def given(pod: Mapping[str, Any]) -> Iterator[Finding]:
    """What a Pod has of what a process needs, and of what it must not have."""
    meta, spec = _at(pod, "metadata"), _at(pod, "spec")
    annotations = _at(meta, "annotations")
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    found = list(sidecar.annotated(annotations))
    if any(each.get("name") == PROXY for each in containers) and not found:
        found.append(Finding("sidecar", ERROR, f"the Pod has the container {PROXY}", sidecar.DO))
    yield from found or [Finding("sidecar", GOOD, "no sidecar is in the Pod")]
    if spec.get("hostNetwork"):
        do = "give it an address of its own"
        yield Finding("environment", WARNING, "hostNetwork: Istio takes such a Pod into no mesh", do)
    env = _env(pod)
    lacking = [each for each in NEEDED if each not in env]
    if lacking:
        yield Finding("environment", WARNING, f"{', '.join(lacking)} missing in every container", _INJECT)
    else:
        yield Finding("environment", GOOD, f"control plane {_address(env)}")
    token = _token(pod)
    if token is None:
        yield Finding("token", ERROR, f"no volume has a service account's token for {AUDIENCE}", _INJECT)
    else:
        yield Finding("token", GOOD, f"a token of {spec.get('serviceAccountName', 'default')} is mounted")


def _root(api: ApiServer, namespace: str, name: str) -> Iterator[Finding]:
    from ..xds.controlplane.apiserver import MISSING, ApiError

    if not name:
        yield Finding("root", WARNING, "no volume has the ConfigMap with the root certificate", _INJECT)
        return
    try:
        held = api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
    except ApiError as error:
        if error.reason != MISSING:
            yield Finding(
                "root", UNKNOWN, f"ConfigMap {namespace}/{name} cannot be read ({error.reason})", "get configmaps"
            )
            return
        do = "istiod writes it into every namespace, `proxyless serve --kubernetes --publish-root` does: do they run?"
        yield Finding("root", ERROR, f"ConfigMap {namespace}/{name} does not exist: the Pod cannot start", do)
        return
    if "BEGIN CERTIFICATE" in str(_at(held, "data").get("root-cert.pem")):
        yield Finding("root", GOOD, f"ConfigMap {namespace}/{name} has a root certificate")
    else:
        yield Finding(
            "root", ERROR, f"ConfigMap {namespace}/{name} has no certificate as root-cert.pem", "write it anew"
        )


def _modes(
    api: ApiServer, namespace: str, pod: Mapping[str, Any], timeout_s: float, *, certificate: bool
) -> Iterator[Finding]:
    from ..xds.controlplane.source.cluster import KubernetesSource, readable

    source = KubernetesSource(api, without=readable().keys() - WANTED)
    source.start()
    try:
        if not source.wait_synced(max(timeout_s, 1.0)):
            left = [f"{each.kind} ({each.condition})" for each in source.status() if not each.synced]
            do = "give the right to list and watch them, or more --timeout"
            yield Finding("mtls", UNKNOWN, f"modes of mTLS cannot be told: {', '.join(left)} not read", do)
            return
        loaded = source.poll()
    finally:
        source.close()
    from ..xds.controlplane.mesh import MeshConfig
    from ..xds.controlplane.registry.world import World

    world = World(loaded.objects if loaded is not None else (), MeshConfig())
    yield from modes.between(world, namespace, _at(_at(pod, "metadata"), "labels"), certificate=certificate)


def _in_folder(namespace: str, name: str, folder: str) -> Iterator[Finding]:
    from ..xds.controlplane import FolderSource, SourceError
    from ..xds.controlplane.mesh import MeshConfig
    from ..xds.controlplane.registry.world import World
    from ..xds.controlplane.source import Loaded

    try:
        loaded = FolderSource(folder).poll() or Loaded(())
    except SourceError as error:
        raise ConfigurationError(str(error)) from error
    if loaded.faults:
        first, more = loaded.faults[0], len(loaded.faults) - 1
        text = f"{first}{f', and {more} more' if more else ''}: what is refused is not looked at"
        yield Finding("fields", ERROR, text, f"mend what `proxyless check {folder}` names")
    world = World(loaded.objects, MeshConfig())
    workload = world.workloads.get((namespace, name))
    if workload is None:
        known = ", ".join(f"{where}/{each}" for where, each in list(world.workloads)[:5])
        text = f"{folder} has no Pod {namespace}/{name}: there are {known or 'none'}"
        yield Finding("pod", ERROR, text, "name one of them" if known else "write it, or ask a cluster: --kubeconfig")
        return
    do = "look at the Pod itself: --kubeconfig, or kubectl exec"
    yield Finding("pod", UNKNOWN, "what a Pod was given is not in a folder: a certificate is assumed", do)
    yield from modes.between(world, namespace, workload.labels, certificate=True)
    yield from _without_effect(world, namespace)


def _without_effect(world: World, namespace: str) -> Iterator[Finding]:
    from ..xds.controlplane.checking.effects import without_effect

    for item in world.by_ref.values():
        if item.meta.namespace in (namespace, world.mesh.root_namespace):
            for keys, why in without_effect(item.kind, item.spec):
                field = ".".join(str(each) for each in keys)
                yield Finding("fields", WARNING, f"{item.ref}: {field} {why}", "docs/fields.md says what takes effect")


def _env(pod: Mapping[str, Any]) -> dict[str, str]:
    containers = _at(pod, "spec").get("containers") or ()
    return {
        str(each.get("name")): str(each.get("value") or "")
        for container in containers
        for each in container.get("env") or ()
    }


def _address(env: Mapping[str, str]) -> str:
    try:
        said = json.loads(env.get("PROXY_CONFIG") or "{}")
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    found = env.get("PROXYLESS_XDS") or env.get("PILOT_DISCOVERY_ADDRESS") or said.get("discoveryAddress")
    return str(found or "istiod.istio-system.svc:15012")


def _token(pod: Mapping[str, Any]) -> Document | None:
    for volume in _at(pod, "spec").get("volumes") or ():
        for source in _at(volume, "projected").get("sources") or ():
            token = _at(source, "serviceAccountToken")
            if token.get("audience") == AUDIENCE:
                return dict(token)
    return None


def _map_of(pod: Mapping[str, Any]) -> str:
    """The ConfigMap with the root certificate."""
    for volume in _at(pod, "spec").get("volumes") or ():
        name = str(_at(volume, "configMap").get("name") or "")
        if volume.get("name") == "istiod-ca-cert" or name == "istio-ca-root-cert":
            return name
    return ""


def _at(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
