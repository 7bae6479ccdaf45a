"""Which filter chain takes a connection (envoy source: FilterChainManagerImpl::findFilterChain).

The criteria are looked at one after the other, and each keeps only the chains that say most about it: chains of the
connection's port shadow those without a port, whatever comes later. There is no way back, and no match refuses.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from ..xds.model.listener import FilterChain, Listener
from ..xds.model.matching import Input
from ..xds.model.records import dataclass
from ..xds.model.values import Cidr
from .forwarding import parsed
from .trees import Reader, compile_tree

LOOPBACKS = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Connection:
    """What is known of a connection before its first request. An empty address matches no prefix."""

    destination: str
    port: int
    transport: str = "raw_buffer"
    server_name: str = ""
    application_protocols: tuple[str, ...] = ()
    source: str = ""
    source_port: int = 0


def find_chain(listener: Listener, connection: Connection) -> FilterChain | None:
    """The filter chain of a connection, else the listener's default one; None refuses."""
    if listener.chain_matcher is not None:
        name = compile_tree(listener.chain_matcher, _read)(connection)
        if name is None:
            return listener.default_chain
        return next((chain for chain in listener.chains if chain.name == name), None)
    chains: Sequence[FilterChain] = listener.chains
    for narrow in _STEPS:
        chains = narrow(chains, connection)
        if not chains:
            return listener.default_chain
    return chains[0]


def looks_at_source(listener: Listener, port: int | None = None) -> bool:
    """Whether it matters where a connection comes from; of one to `port`, if it is said."""
    if listener.chain_matcher is not None:
        return any("source" in each.kind for each in listener.chain_matcher.inputs())
    return any(
        chain.match.direct_source_prefix_ranges
        or chain.match.source_prefix_ranges
        or chain.match.source_ports
        or chain.match.source_type != "ANY"
        for chain in (listener.chains if port is None else _by_port(listener.chains, Connection("", port)))
    )


def _read(looked_at: Input) -> Reader[Connection]:
    """How an input is read from a connection: nothing where it is empty."""
    read = _INPUTS[looked_at.kind]
    return lambda connection: read(connection).encode() or None


Step = Callable[[Sequence[FilterChain], Connection], Sequence[FilterChain]]


def _by_port(chains: Sequence[FilterChain], connection: Connection) -> Sequence[FilterChain]:
    own = [chain for chain in chains if chain.match.destination_port == connection.port]
    return own or [chain for chain in chains if chain.match.destination_port is None]


def _by_destination(chains: Sequence[FilterChain], connection: Connection) -> Sequence[FilterChain]:
    return _by_prefix(chains, connection.destination, lambda chain: chain.match.prefix_ranges)


def _by_server_name(chains: Sequence[FilterChain], connection: Connection) -> Sequence[FilterChain]:
    name = connection.server_name.lower()
    wanted = name
    while wanted:
        own = [chain for chain in chains if wanted in chain.match.server_names]
        if own:
            return own
        # The next wider wildcard: a.b.c, *.b.c, *.c.
        _, dot, rest = wanted.removeprefix("*.").partition(".")
        wanted = f"*.{rest}" if dot else ""
    return [chain for chain in chains if not chain.match.server_names]


def _by_transport(chains: Sequence[FilterChain], connection: Connection) -> Sequence[FilterChain]:
    own = [chain for chain in chains if chain.match.transport_protocol == connection.transport]
    return own or [chain for chain in chains if not chain.match.transport_protocol]


def _by_application_protocol(chains: Sequence[FilterChain], connection: Connection) -> Sequence[FilterChain]:
    for protocol in connection.application_protocols:
        own = [chain for chain in chains if protocol in chain.match.application_protocols]
        if own:
            return own
    return [chain for chain in chains if not chain.match.application_protocols]


def _by_direct_source(chains: Sequence[FilterChain], connection: Connection) -> Sequence[FilterChain]:
    return _by_prefix(chains, connection.source, lambda chain: chain.match.direct_source_prefix_ranges)


def _is_local(connection: Connection) -> bool:
    """Of all of 127.0.0.0/8, only one address is a loopback to Envoy (source: isSameIpOrLoopback)."""
    source = parsed(connection.source)
    return source is not None and (str(source) in LOOPBACKS or connection.source == connection.destination)


def _by_source_type(chains: Sequence[FilterChain], connection: Connection) -> Sequence[FilterChain]:
    kind = "SAME_IP_OR_LOOPBACK" if _is_local(connection) else "EXTERNAL"
    own = [chain for chain in chains if chain.match.source_type == kind]
    return own or [chain for chain in chains if chain.match.source_type == "ANY"]


def _by_source(chains: Sequence[FilterChain], connection: Connection) -> Sequence[FilterChain]:
    return _by_prefix(chains, connection.source, lambda chain: chain.match.source_prefix_ranges)


def _by_source_port(chains: Sequence[FilterChain], connection: Connection) -> Sequence[FilterChain]:
    own = [chain for chain in chains if connection.source_port in chain.match.source_ports]
    return own or [chain for chain in chains if not chain.match.source_ports]


_STEPS: tuple[Step, ...] = (
    _by_port,
    _by_destination,
    _by_server_name,
    _by_transport,
    _by_application_protocol,
    _by_direct_source,
    _by_source_type,
    _by_source,
    _by_source_port,
)

_INPUTS: Mapping[str, Callable[[Connection], str]] = {
    "destination_ip": lambda connection: connection.destination,
    "destination_port": lambda connection: str(connection.port),
    "source_ip": lambda connection: connection.source,
    "direct_source_ip": lambda connection: connection.source,
    "source_type": lambda connection: "local" if _is_local(connection) else "",
    "server_name": lambda connection: connection.server_name.lower(),
    "transport_protocol": lambda connection: connection.transport,
    "application_protocol": lambda connection: ",".join(f"'{each}'" for each in connection.application_protocols),
}


def _by_prefix(
    chains: Sequence[FilterChain], address: str, ranges: Callable[[FilterChain], Iterable[Cidr]]
) -> Sequence[FilterChain]:
    ip = parsed(address)
    best, found = -1, []
    for chain in chains:
        length = max((_length(cidr, ip) for cidr in ranges(chain)), default=-1)
        if length > best:
            best, found = length, [chain]
        elif length == best and length >= 0:
            found.append(chain)
    return found if best >= 0 else [chain for chain in chains if not tuple(ranges(chain))]


def _length(cidr: Cidr, ip: IPv4Address | IPv6Address | None) -> int:
    """The prefix length where the address is inside, else -1."""
    if ip is None:
        return -1
    network: IPv4Network | IPv6Network = ip_network(f"{cidr.address}/{cidr.prefix_len}", strict=False)
    return cidr.prefix_len if ip.version == network.version and ip in network else -1
