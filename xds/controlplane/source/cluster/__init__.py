"""Objects of a Kubernetes API server, listed and watched.

Each kind has a reflector: it finds the version that is served, lists, watches from there, resumes where a watch broke,
and lists again only when the server has forgotten that point (410). What it reads goes into the kind's store, through
the same reader as a folder's YAML: an object that is refused keeps what it said last, and is named as
`VirtualService shop/cart` where a folder has file and line.

The rule that holds it together: what was read stays until the API server itself says that it is gone. A connection that
breaks, a permission that is taken away, a watch in which nothing comes are conditions of that kind, by name, and the
other kinds go on. Until every kind that exists has been listed once the source is not synced, and nobody is served: a
control plane that cannot read AuthorizationPolicies must not serve a mesh without them.
"""

from .conditions import LISTING, SYNCED, KindStatus
from .resources import readable
from .source import KubernetesSource

__all__ = ["LISTING", "SYNCED", "KindStatus", "KubernetesSource", "readable"]
