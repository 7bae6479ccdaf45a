"""Message classes by short package name: `import ... types as pb`, then `pb.cluster_v3.Cluster`.

For a type checker the names are modules (the `.pyi` files beside this one, generated); at run time they are
namespaces that make a class when it is first asked for. So `from ...types import cluster_v3` works, `from
...types.cluster_v3 import Cluster` does not.
"""

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

from .._pool import find, pool
from ._packages import PACKAGES

__all__ = [*PACKAGES]


class _Namespace:
    """One proto package; what was found stays as an attribute."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __getattr__(self, name: str) -> type[Message] | EnumTypeWrapper | int:
        full_name = f"{self._package}.{name}"
        found: type[Message] | EnumTypeWrapper | int | None = find(full_name)
        if found is None:
            found = _enum(full_name)
        setattr(self, name, found)
        return found

    def __repr__(self) -> str:
        return f"<messages of {self._package}>"


def _enum(full_name: str) -> EnumTypeWrapper | int:
    try:
        return EnumTypeWrapper(pool().FindEnumTypeByName(full_name))
    except KeyError:
        raise AttributeError(f"the schema has no {full_name}") from None


def __getattr__(name: str) -> _Namespace:
    package = PACKAGES.get(name)
    if package is None:
        raise AttributeError(f"the schema has no package {name}")
    namespace = globals()[name] = _Namespace(package)
    return namespace
