"""Pods: what their annotations say to the injector of sidecars, as far as it counts here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from ..api.decode import Path, decode, keys_of
from ..api.fields import Format
from ..api.kubernetes import Pod
from ..api.proxy_config import ProxyConfig
from ..objects import Object
from ..registry.proxy_configs import ANNOTATION
from .finding import Keys, Said, Severity
from .mesh import Mesh


@dataclass(frozen=True, slots=True)
class _Holder:
    """The annotation as a field, so that it is read like any other text of YAML."""

    text: Annotated[ProxyConfig | None, Format.YAML] = None


class _Heard:
    """Gathers what is wrong, by the keys below the annotation."""

    def __init__(self) -> None:
        self.said: list[tuple[Severity, Keys, str]] = []

    def __call__(self, path: Path, message: str, *, inert: bool = False) -> None:
        at = ("metadata", "annotations", ANNOTATION, *keys_of(path)[1:])
        self.said.append(("warning" if inert else "error", at, message))


def pod(source: Object[Pod], _mesh: Mesh) -> Iterator[Said]:
    """The injector would refuse a Pod whose annotation it cannot read."""
    text = source.meta.annotations.get(ANNOTATION)
    if text is not None:
        heard = _Heard()
        decode(_Holder, {"text": text}, heard)
        yield from heard.said
