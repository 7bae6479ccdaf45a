"""The name table (istio.networking.nds.v1.NameTable)."""

from ...model.names import NameTable
from ..schema import types as pb


def name_table(raw: bytes) -> NameTable:
    """Full host names, lower case, to addresses; alternative hosts of an entry find it too."""
    message = pb.istio_nds_v1.NameTable.FromString(raw)
    table: dict[str, tuple[str, ...]] = {}
    for host, info in message.table.items():
        addresses = tuple(info.ips)
        table[host.lower()] = addresses
        for other in info.alt_hosts:
            table.setdefault(other.lower(), addresses)
    return NameTable(table)
