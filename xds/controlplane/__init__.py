"""The embedded control plane: Istio and Kubernetes objects in, xDS out, as istiod would send it.

What comes in are objects from a source (today a folder of YAML and JSON, followed as it changes); what goes out are
discovery responses for any node that asks, over grpc (`serve`) or within the process (`LocalStream`, `LocalLink`).

    source -> objects -> World -> Scope, Proxy -> emitters -> discovery -> stream

* `api` describes each kind as data: one dataclass per message, with types and constraints in its annotations; `kinds`
  is the table of kinds. Decoding, checking and the list of fields without effect all read these.
* `source` reads a folder. A broken file or object is a `Fault` with file, line and field, and what it said before stays
  in force; the rest is served.
* `registry` derives the mesh from the objects: services, endpoints, rules and routes as a namespace sees them.
* `emit` turns that into Envoy's messages, field by field as istiod shapes and names them.
* `discovery` decides who is told what: the protocol in both variants, without I/O.
* `checking` says what is wrong with a folder before anything runs on it.
* `plane` holds it together: one immutable state at a time, one thread.

The rule that holds it together: every step is a function of immutable input, and what did not change stays the same
Python object from one state to the next. So a difference is found by identity, results are kept by what they were made
of, and a change costs what it touches.

Equality with istiod is the goal; where the output differs from what a real istiod sent, the tests hold a list with
reasons, and no entry of it may change a decision.
"""

from .checking import Finding, check
from .local import InlineLink, LocalLink, LocalStream
from .mesh import MeshConfig
from .objects import Fault, Place, Ref
from .plane import Plane
from .source import Loaded, Source
from .source.folder import FolderSource, SourceError
from .status import ClientStatus, PlaneStatus, SubscriptionStatus

__all__ = [
    "ClientStatus",
    "Fault",
    "Finding",
    "FolderSource",
    "InlineLink",
    "Loaded",
    "LocalLink",
    "LocalStream",
    "MeshConfig",
    "Place",
    "Plane",
    "PlaneStatus",
    "Ref",
    "Source",
    "SourceError",
    "SubscriptionStatus",
    "check",
]
