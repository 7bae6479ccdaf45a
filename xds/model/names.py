"""The name table (istio.networking.nds.v1): host names of the mesh and their addresses."""

from collections.abc import Mapping
from dataclasses import field

from .records import dataclass


@dataclass(frozen=True, slots=True)
class NameTable:
    """Full host names, lower case, to service addresses."""

    table: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def lookup(self, host: str, search: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The addresses of a host as a pod's resolver would find them: as it stands, then with each search domain."""
        table = self.table
        name = host.lower().rstrip(".")
        found = table.get(name)
        if found is None:
            for domain in search:
                found = table.get(f"{name}.{domain}")
                if found is not None:
                    break
        return found or ()
