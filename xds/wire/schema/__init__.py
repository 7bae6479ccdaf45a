"""Envoy's schema: message classes in a private pool, and the rules that a message has to keep.

Bytes come in, typed messages go out. `types` names every message (`pb.cluster_v3.Cluster`), `find` looks one up by type
URL, `unpack` opens a `google.protobuf.Any`, `validate` enforces Envoy's rules on what was decoded, `find_unknown` names
what the schema does not know. The rule that holds the room together: nothing in `data/` and no stub in `types/` is
written by hand; `python -m tools.schema` generates them, and a test generates them again and compares.

The pool is private so that a program which has Envoy's classes from elsewhere keeps them. In return a message from here
is not an instance of a class from there: `google.protobuf.any_pb2.Any` is one type, `pb.google_protobuf.Any` another,
and protobuf's JSON functions need `descriptor_pool=pool()` to look into an Any. Importing this package loads protobuf
(about 30 ms) but not the schema; the first class that is asked for loads it (about 7 ms), the first validation the
rules (about 2 ms).
"""

from ._pool import find, pool
from ._unknown import Unknown, find_unknown
from ._unpack import type_of, typed_struct, unpack
from ._validate import ConstraintError, validate, violation

__all__ = [
    "ConstraintError",
    "Unknown",
    "find",
    "find_unknown",
    "pool",
    "type_of",
    "typed_struct",
    "unpack",
    "validate",
    "violation",
]
