"""A Pod's volumes as folders; what they hold is replaced as a whole, as the kubelet does it (`..data` is a link)."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from .environment import Waiting, field_of, resource_of, values_of
from .rest import Document, Rest

RENEW_AT = 0.8
"""Of its lifetime, as the kubelet."""

Files = dict[str, tuple[bytes, int, int]]
"""By path: content, mode, owner."""


@dataclass(slots=True)
class Token:
    text: str
    renew_at: float


@dataclass(slots=True)
class Volumes:
    """`fill` makes them and brings them up to date; `tokens` may be changed by a test that wants another one."""

    api: Rest
    folder: Path
    address: str
    host: str
    tokens: dict[tuple[str, int], Token] = field(default_factory=dict)
    _written: dict[str, Files] = field(default_factory=dict)
    _versions: int = 0

    def path(self, name: str) -> Path:
        return self.folder / name

    def fill(self, pod: Document) -> None:
        """
        Raises:
            Waiting: something that is not optional is not there yet.
        """
        group = pod["spec"].get("securityContext", {}).get("fsGroup")
        for volume in pod["spec"].get("volumes", ()):
            name = volume["name"]
            if "emptyDir" in volume:
                if not self.path(name).exists():
                    self.path(name).mkdir(parents=True)
                    self.path(name).chmod(0o2777 if group else 0o777)
                    os.chown(self.path(name), -1, -1 if group is None else group)
                continue
            files = self._files(pod, volume)
            if self._written.get(name) != files:
                self._write(self.path(name), files, group)
                self._written[name] = files

    def _files(self, pod: Document, volume: Document) -> Files:
        namespace = pod["metadata"]["namespace"]
        sources = volume["projected"].get("sources", ()) if "projected" in volume else (volume,)
        default = next((each["defaultMode"] for each in volume.values() if "defaultMode" in each), 0o644)
        files: Files = {}
        for source in sources:
            if said := source.get("serviceAccountToken"):
                shared = _owner(pod) is not None or "fsGroup" in pod["spec"].get("securityContext", {})
                mode = 0o600 if shared else default
                files[said["path"]] = (self._token(pod, said).encode(), mode, _owner(pod) or 0)
            elif said := source.get("downwardAPI"):
                for item in said.get("items", ()):
                    files[item["path"]] = (self._item(pod, item).encode(), item.get("mode", default), 0)
            elif (said := source.get("configMap")) or (said := source.get("secret")):
                kind = "configmaps" if "configMap" in source else "secrets"
                name, optional = said.get("name") or said["secretName"], said.get("optional", False)
                values: Mapping[str, bytes] = values_of(self.api, namespace, kind, name, optional=optional)
                for item in said.get("items") or [{"key": key, "path": key} for key in values]:
                    if item["key"] in values:
                        files[item["path"]] = (values[item["key"]], item.get("mode", default), 0)
                    elif not optional:
                        raise Waiting(f"{kind} {name} has no key {item['key']}", "ContainerCreating")
            else:
                kinds = ", ".join(key for key in source if key != "name")
                raise Waiting(f"volume {volume['name']}: {kinds} is not known here", "ContainerCreating")
        return files

    def _item(self, pod: Document, item: Document) -> str:
        if "fieldRef" in item:
            return field_of(pod, item["fieldRef"]["fieldPath"], self.address, self.host)
        reference = item["resourceFieldRef"]
        container = next(each for each in pod["spec"]["containers"] if each["name"] == reference["containerName"])
        return resource_of(container, reference)

    def _token(self, pod: Document, said: Document) -> str:
        seconds = said.get("expirationSeconds", 3600)
        key = said.get("audience", ""), seconds
        held = self.tokens.get(key)
        if held is None or time.time() >= held.renew_at:
            meta, spec = pod["metadata"], pod["spec"]
            bound = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
            asked = {"expirationSeconds": seconds, "boundObjectRef": bound}
            if key[0]:
                asked["audiences"] = [key[0]]
            account = spec.get("serviceAccountName", "default")
            path = f"/api/v1/namespaces/{meta['namespace']}/serviceaccounts/{account}/token"
            kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
            status = self.api.post(path, {**kind, "spec": asked})["status"]
            ends = datetime.fromisoformat(status["expirationTimestamp"]).timestamp()
            now = time.time()
            held = self.tokens[key] = Token(status["token"], now + RENEW_AT * (ends - now))
        return held.text

    def _write(self, folder: Path, files: Files, group: int | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._versions += 1
        version = f"..{self._versions}"
        for path, (content, mode, owner) in files.items():
            target = folder / version / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(mode | (0o040 if group is not None else 0))
            os.chown(target, owner, -1 if group is None else group)
        (folder / version).mkdir(exist_ok=True)
        data, fresh = folder / "..data", folder / "..fresh"
        old = data.readlink() if data.is_symlink() else None
        fresh.symlink_to(version)
        fresh.replace(data)
        tops = {Path(path).parts[0] for path in files}
        for top in tops:
            if not (folder / top).is_symlink():
                (folder / top).symlink_to(f"..data/{top}")
        for each in folder.iterdir():
            if each.is_symlink() and not each.name.startswith("..") and each.name not in tops:
                each.unlink()
        if old is not None:
            shutil.rmtree(folder / old)


def _owner(pod: Document) -> int | None:
    """The user whom all containers run as, where it is one: tokens are theirs then."""
    overall = pod["spec"].get("securityContext", {}).get("runAsUser")
    users = {each.get("securityContext", {}).get("runAsUser", overall) for each in pod["spec"]["containers"]}
    return users.pop() if len(users) == 1 else None
