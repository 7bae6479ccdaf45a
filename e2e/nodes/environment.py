"""What a Pod says of itself and of others: fields, ConfigMaps and Secrets, as variables and in arguments."""

from __future__ import annotations

import base64
import re
from typing import Any

from .rest import Document, Rest

SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")


class Waiting(Exception):  # noqa: N818  # it may mend itself
    """The Pod cannot start yet: `reason` is the waiting state's."""

    def __init__(self, message: str, reason: str = "CreateContainerConfigError") -> None:
        super().__init__(message)
        self.reason = reason


def field_of(pod: Document, path: str, address: str, host: str) -> str:
    """The downward API's."""
    meta, spec = pod["metadata"], pod["spec"]
    if found := SUBSCRIPT.fullmatch(path):
        return str(meta.get(found[1], {}).get(found[2], ""))
    known = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": spec["nodeName"],
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": address,
        "status.podIPs": address,
        "status.hostIP": host,
        "status.hostIPs": host,
    }
    if path in known:
        return str(known[path])
    if path in ("metadata.labels", "metadata.annotations"):
        values: dict[str, str] = meta.get(path.partition(".")[2], {})
        return "\n".join(f'{key}="{_quoted(value)}"' for key, value in sorted(values.items()))
    raise Waiting(f"field {path} is not known here")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resource_of(container: Document, reference: Document) -> str:
    """requests.cpu and the like, as they stand; without a divisor that means anything."""
    kind, _, what = reference["resource"].partition(".")
    return str(container.get("resources", {}).get(kind, {}).get(what, "0"))


def values_of(api: Rest, namespace: str, kind: str, name: str, *, optional: bool) -> dict[str, bytes]:
    """Of a ConfigMap or a Secret."""
    found = api.find(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
    if found is None:
        if optional:
            return {}
        raise Waiting(f'{kind.removesuffix("s")} "{name}" not found')
    if kind == "secrets":
        return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}
    encoded = {key: base64.b64decode(value) for key, value in found.get("binaryData", {}).items()}
    return {key: value.encode() for key, value in found.get("data", {}).items()} | encoded


def variables(api: Rest, pod: Document, container: Document, address: str, host: str) -> dict[str, str]:
    """The container's environment."""
    namespace = pod["metadata"]["namespace"]
    found = {
        "HOSTNAME": pod["metadata"]["name"],
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
    }
    for each in container.get("envFrom", ()):
        for field, kind in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if said := each.get(field):
                values = values_of(api, namespace, kind, said["name"], optional=said.get("optional", False))
                found |= {each.get("prefix", "") + key: value.decode() for key, value in values.items()}
    for each in container.get("env", ()):
        if "valueFrom" in each:
            value = _from(api, pod, container, each["valueFrom"], address, host)
        else:
            value = expanded(each.get("value", ""), found)
        if value is not None:
            found[each["name"]] = value
    return found


def _from(api: Rest, pod: Document, container: Document, said: Document, address: str, host: str) -> str | None:
    if "fieldRef" in said:
        return field_of(pod, said["fieldRef"]["fieldPath"], address, host)
    if "resourceFieldRef" in said:
        return resource_of(container, said["resourceFieldRef"])
    for field, kind in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if reference := said.get(field):
            optional = reference.get("optional", False)
            values = values_of(api, pod["metadata"]["namespace"], kind, reference["name"], optional=optional)
            if reference["key"] in values:
                return values[reference["key"]].decode()
            if optional:
                return None
            raise Waiting(f"couldn't find key {reference['key']} in {kind} {reference['name']}")
    raise Waiting(f"a variable from {', '.join(said)} is not known here")


def expanded(text: str, environment: dict[str, str]) -> str:
    """$(NAME); one that is not known stays as it is, and $$ is one $."""

    def value(found: re.Match[str]) -> Any:
        return "$" if found[0] == "$$" else environment.get(found[1], found[0])

    return REFERENCE.sub(value, text)
