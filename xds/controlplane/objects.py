"""What a source gives: typed objects with their place in a file, and the faults found on the way.

An `Object` is immutable and compared by identity: the same Python object in two snapshots means nothing changed, which
is what every cache and every diff here relies on.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S", covariant=True)
T = TypeVar("T")

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands; line and column count from 1, 0 means the whole file.

    In a cluster there are no files: `file` is the object itself (`VirtualService shop/cart`), or its kind.
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


class Ref(NamedTuple):
    """Names an object: kind, namespace, name. A tuple, since it is hashed more than anything else here."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Meta:
    """metadata of a Kubernetes object. `created` is its creationTimestamp as written (RFC 3339 sorts as text)."""

    name: str
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    created: str = ""
    controller: tuple[str, str] = ("", "")  # kind and name of the owner that manages it
    generate_name: str = ""
    resource_version: str = ""

    def flag(self, annotation: str) -> bool:
        """Whether an annotation says yes, in one of the ways that Go's strconv.ParseBool takes."""
        return self.annotations.get(annotation) in _TRUE


@dataclass(frozen=True, slots=True, eq=False)
class Object(Generic[S]):
    """One object of the mesh: kind, metadata, typed content, and where it was read."""

    kind: str
    version: str  # of the config path that istiod puts into metadata: v1, v1alpha3
    group: str
    meta: Meta
    spec: S
    place: Place
    status: object | None = None  # of the kinds that istiod reads it of
    ref: Ref = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ref", Ref(self.kind, self.meta.namespace, self.meta.name))

    @property
    def created(self) -> str:
        """When it was made, for comparison. Without a time an object of Istio's is new, one of Kubernetes' is old."""
        return self.meta.created or ("~" if self.group.endswith("istio.io") else "")

    @property
    def age(self) -> tuple[str, str, str]:
        """Sort key of istiod's conflict resolution: the oldest wins, then the name."""
        return (self.created, self.meta.name, self.meta.namespace)


def same(one: Sequence[object], other: Sequence[object]) -> bool:
    """Whether two lists hold the same objects."""
    return len(one) == len(other) and all(map(operator.is_, one, other))


def by_namespace(objects: Iterable[Object[T]]) -> dict[str, list[Object[T]]]:
    """Objects of each namespace, in their order."""
    out: dict[str, list[Object[T]]] = {}
    for item in objects:
        out.setdefault(item.meta.namespace, []).append(item)
    return out


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a file or an object, for people: `istio/cart.yaml:12:9: VirtualService shop/cart: ...`."""

    place: Place
    message: str
    object: Ref | None = None
    field: str = ""

    def __str__(self) -> str:
        said = f"{self.field} {self.message}" if self.field else self.message
        place, named = str(self.place), str(self.object or "")
        return ": ".join([place, *([named] if named not in ("", place) else []), said])
