"""One object of Kubernetes: its Pod, and what has to be there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, MutableSequence
from typing import Any

from .probes import VARIABLE, ProbeError, rewritten
from .wanted import Text, Wanted

TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}
"""Where the Pod of a kind is."""
GROUPS = {"Pod": "", "ReplicationController": "", "Job": "batch", "CronJob": "batch"}
PROXY = "istio-proxy"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"

Object = MutableMapping[str, Any]
Told = Callable[[str], None]


class WorkloadError(ValueError):
    """An object cannot be made proxyless; the text names it, and says why."""


def is_workload(value: object) -> bool:
    """Whether an object has Pods."""
    if not isinstance(value, dict):
        return False
    kind = value.get("kind")
    group, _, _ = str(value.get("apiVersion", "")).rpartition("/")
    return isinstance(kind, str) and kind in TEMPLATES and group == GROUPS.get(kind, "apps")


def inject(value: Object, wanted: Wanted, told: Told) -> None:
    """Changes a workload in place. `told` hears what somebody may want to know.

    Raises:
        WorkloadError: it cannot be done.
    """
    name = _named(value)

    def wrong(why: str) -> WorkloadError:
        return WorkloadError(f"{name}: {why}")

    pod: Object = value
    for key in TEMPLATES[value["kind"]]:
        found = pod.get(key)
        if not isinstance(found, dict):
            raise wrong(f"{key} is missing: it has no Pods")
        pod = found
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        raise wrong("the Pod has no spec")
    containers = spec.get("containers")
    if not isinstance(containers, list) or not containers or not all(isinstance(each, dict) for each in containers):
        raise wrong("the Pod has no containers")
    before = spec.get("initContainers") or ()
    if any(isinstance(each, dict) and each.get("name") == PROXY for each in (*containers, *before)):
        raise wrong(f"it has the container {PROXY}: two proxies would do everything twice; inject what it was made of")
    if spec.get("hostNetwork") is True:
        told(f"{name}: hostNetwork is true: its address is its node's, and Istio takes such a Pod into no mesh")
    governed = _chosen(pod, containers, wanted, wrong)
    try:
        _labels(value, pod, wanted, told, name)
        scratch = False
        for container in governed:
            scratch = _container(container, value, wanted, lambda text: told(f"{name}: {text}")) or scratch
        volumes = wanted.volumes(scratch=scratch)
        _merged(spec, "volumes", volumes, before="containers", told=lambda text: told(f"{name}: {text}"))
    except (ProbeError, WorkloadError) as error:
        raise wrong(str(error)) from None


def _named(value: Mapping[str, Any]) -> str:
    meta = value.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    name = meta.get("name") or meta.get("generateName") or "?"
    return f"{value['kind']} {meta['namespace']}/{name}" if meta.get("namespace") else f"{value['kind']} {name}"


def _chosen(
    pod: Mapping[str, Any], containers: list[Object], wanted: Wanted, wrong: Callable[[str], WorkloadError]
) -> list[Object]:
    if wanted.containers == ("*",):
        return containers
    names = [str(each.get("name")) for each in containers]
    said = wanted.containers
    if not said:
        default = _mapping(_mapping(pod, "metadata"), "annotations").get(DEFAULT_CONTAINER)
        if len(names) > 1 and default is None:
            raise wrong(f"it has the containers {', '.join(names)}: --container says which of them is governed")
        said = (str(default),) if default is not None else (names[0],)
    if not set(said) & set(names):
        raise wrong(
            f"it has no container {' or '.join(said)}: there {'is' if len(names) == 1 else 'are'} {', '.join(names)}"
        )
    return [each for each in containers if each.get("name") in said]


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _labels(value: Object, pod: Object, wanted: Wanted, told: Told, name: str) -> None:
    selected = _mapping(_mapping(_mapping(value, "spec"), "selector"), "matchLabels")
    for key, text in wanted.labels().items():
        if key in selected and selected[key] != text:
            raise WorkloadError(f"its selector wants {key}={selected[key]}, and the Pod needs {key}={text}")
    meta = _made(pod, "metadata", {}, first=True)
    for what, texts in (("labels", wanted.labels()), ("annotations", wanted.annotations())):
        if not texts:
            continue
        held = _made(meta, what, {})
        for key, text in texts.items():
            if key in held and str(held[key]) != text:
                told(f"{name}: {key} was {held[key]}, and is {text} now")
            if held.get(key) != text:
                held[key] = text


def _container(container: Object, value: Mapping[str, Any], wanted: Wanted, told: Told) -> bool:
    """Whether it needs a volume at /tmp."""
    for key in ("env", "volumeMounts", "ports"):
        if not isinstance(container.get(key), list | None):
            raise WorkloadError(f"container {container.get('name')}: {key} is no list")
    mounts = container.get("volumeMounts") or ()
    at = {str(each.get("mountPath")).rstrip("/"): each.get("name") for each in mounts if isinstance(each, dict)}
    security = _mapping(container, "securityContext")
    scratch = security.get("readOnlyRootFilesystem") is True and at.get("/tmp", "tmp") == "tmp"  # noqa: S108
    needed = wanted.mounts(scratch=scratch)
    for each in needed:
        other = at.get(each["mountPath"], each["name"])
        if other != each["name"]:
            raise WorkloadError(f"container {container.get('name')} has the volume {other} at {each['mountPath']}")
    variables = wanted.variables(str(_mapping(value, "metadata").get("name", "")))
    if wanted.listener:
        probers = rewritten(container, wanted.listener)
        variables += [{"name": VARIABLE, "value": Text(probers)}] if probers else []
    say = lambda text: told(f"container {container.get('name')}: {text}")  # noqa: E731
    _merged(container, "env", variables, before="", told=say)
    _merged(container, "volumeMounts", needed, before="", told=say)
    return scratch


def _merged(of: Object, key: str, items: list[dict[str, Any]], *, before: str, told: Told) -> None:
    """A list whose items have names, with these in it."""
    held: MutableSequence[Any] = _made(of, key, [], before=before)
    places = {each.get("name"): at for at, each in enumerate(held) if isinstance(each, dict)}
    for item in items:
        at = places.get(item["name"])
        if at is None:
            held.append(item)
        elif held[at] != item:
            if key != "volumeMounts":
                told(f"{key}: {item['name']} was another one, and is replaced")
            held[at] = item


def _made(of: Object, key: str, empty: Any, *, before: str = "", first: bool = False) -> Any:
    """What is there, or an empty one: not at the end, where the comments of what follows stand."""
    held = of.get(key)
    if held is None:
        keys = list(of)
        at = 0 if first else keys.index(before) if before in keys else min(len(keys), 2)
        insert = getattr(of, "insert", None)
        if key in of or insert is None:
            of[key] = empty
        else:
            insert(at, key, empty)
    elif not isinstance(held, type(empty)):
        raise WorkloadError(f"{key} is no {'list' if isinstance(empty, list) else 'object'}")
    elif (anchor := getattr(held, "anchor", None)) is not None and anchor.value is not None:
        # By an anchor of YAML the selector may be the same object; what is added here is for this place alone.
        of[key] = held.copy() if isinstance(held, dict) else list(held)
    return of[key]
