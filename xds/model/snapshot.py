"""One consistent view of the configuration: what a call reads, from its first decision to its last."""

from collections.abc import Mapping
from dataclasses import field

from .cluster import Cluster
from .endpoint import ClusterLoadAssignment
from .filters import FilterConfig
from .listener import Listener
from .names import NameTable
from .records import dataclass
from .resource import Resource
from .route import RouteConfiguration


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Immutable; the next one shares every resource that did not change.

    `complete` turns true with the first whole LDS and CDS (from a control plane or from the copy on disk) and stays so.
    """

    generation: int = 0
    complete: bool = False
    listeners: Mapping[str, Resource[Listener]] = field(default_factory=dict)
    routes: Mapping[str, Resource[RouteConfiguration]] = field(default_factory=dict)
    clusters: Mapping[str, Resource[Cluster]] = field(default_factory=dict)
    assignments: Mapping[str, Resource[ClusterLoadAssignment]] = field(default_factory=dict)
    resolved: Mapping[str, ClusterLoadAssignment] = field(default_factory=dict)
    """What DNS says of STRICT_DNS and LOGICAL_DNS clusters, by cluster name."""
    extensions: Mapping[str, Resource[FilterConfig]] = field(default_factory=dict)
    names: NameTable = field(default_factory=NameTable)
    secrets: frozenset[str] = frozenset()
    """Names of secrets that need not be waited for: they are there, or were refused, or nobody sends them. What is in
    them is not in here."""
    warming: frozenset[str] = frozenset()
    """Clusters whose next version waits for its endpoints while the one before serves."""
