"""Resources by name: held as bytes, decoded when first used, and never lost to a bad successor."""

from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeVar

from .values import Note

T = TypeVar("T")

PREFIX = "type.googleapis.com/"


class ResourceType(Enum):
    """The resource types proxyless subscribes to; the value is the type URL."""

    LISTENER = PREFIX + "envoy.config.listener.v3.Listener"
    ROUTE = PREFIX + "envoy.config.route.v3.RouteConfiguration"
    CLUSTER = PREFIX + "envoy.config.cluster.v3.Cluster"
    ENDPOINT = PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
    EXTENSION = PREFIX + "envoy.config.core.v3.TypedExtensionConfig"
    NAMES = PREFIX + "istio.networking.nds.v1.NameTable"
    SECRET = PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"

    # Members are hashed on every subscription; identity is all that equality means here.
    __hash__ = object.__hash__

    @property
    def message(self) -> str:
        """The bare message name: `Listener`, `ClusterLoadAssignment` ..."""
        return self.value.rpartition(".")[2]

    @property
    def is_wildcard(self) -> bool:
        """Whether a response is the whole state: what is missing from it is deleted (LDS, CDS and the name table)."""
        return self in _WILDCARD


_WILDCARD = frozenset({ResourceType.LISTENER, ResourceType.CLUSTER, ResourceType.NAMES})


class ResourceError(Exception):
    """A resource that Envoy would refuse: what it is, and why. The text is what the control plane is told."""

    def __init__(self, type_: ResourceType, name: str, reason: str) -> None:
        super().__init__(f"{type_.message} {name!r}: {reason}" if name else f"{type_.message}: {reason}")
        self.type = type_
        self.name = name
        self.reason = reason


class Resource(Generic[T]):
    """One named resource in one version.

    `decode` turns the bytes into a model value when somebody first asks. If it fails, the error is kept (a *late
    reject*: the control plane has had its ACK already) and the version before stays in force.
    """

    __slots__ = ("_decode", "_describe", "_value", "error", "name", "on_reject", "previous", "raw", "type", "version")

    def __init__(
        self,
        type_: ResourceType,
        name: str,
        version: str,
        raw: bytes,
        decode: Callable[[bytes], T],
        previous: "Resource[T] | None" = None,
        on_reject: Callable[[ResourceError], None] | None = None,
        describe: "Callable[[bytes], tuple[Note, ...]]" = lambda raw: (),
    ) -> None:
        self.type = type_
        self.name = name
        self.version = version
        self.raw = raw
        self.error: ResourceError | None = None
        self.on_reject = on_reject
        self._describe = describe
        self._decode = decode
        self._value: T | None = None
        self.previous: Resource[T] | None = None
        if previous is not None:
            # One good ancestor is enough: the newest that has been decoded, else the newest.
            self.previous = previous if previous.decoded or previous.previous is None else previous.previous

    @property
    def decoded(self) -> bool:
        """Whether the bytes have been decoded, and so are known to be good."""
        return self._value is not None

    def get(self) -> T:
        """The value of this version, or of the last good one before it.

        Raises:
            ResourceError: this version is bad and there is none before it.
        """
        value = self._value
        if value is not None:
            return value
        if self.error is None:
            try:
                self._value = value = self._decode(self.raw)
            except ResourceError as error:
                self.error = error
                if self.on_reject is not None:
                    self.on_reject(error)
            else:
                self.previous = None
                return value
        if self.previous is None:
            raise self.error
        return self.previous.get()

    def notes(self) -> tuple[Note, ...]:
        """The fields that are set and have no effect here, or not yet; computed anew, for people."""
        return self._describe(self.raw)

    def __repr__(self) -> str:
        state = "decoded" if self.decoded else "rejected" if self.error else "bytes"
        return f"<{self.type.message} {self.name!r} version {self.version!r} {state}>"
