"""Where a request comes from, and what a connection manager therefore believes and says about it.

(envoy source: ConnectionManagerUtility::mutateRequestHeaders.) A request is *internal* when its one known address is in
`internal_address_config`; only then may the caller steer the mesh by `x-envoy-*` headers. It is an *edge* request when
the peer itself is taken for the client (`use_remote_address`) and is not internal. istiod asks for none of this in a
sidecar, whose requests are neither; `Forwarder` exists only where something else is configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ..xds.model.forwarding import Forwarding
from ..xds.model.records import dataclass
from .request import HeaderList, RequestView

FOR = b"x-forwarded-for"
PROTO = b"x-forwarded-proto"
PORT = b"x-forwarded-port"
INTERNAL = b"x-envoy-internal"
EXTERNAL_ADDRESS = b"x-envoy-external-address"
SERVICE_CLUSTER = b"x-envoy-downstream-service-cluster"
SERVICE_NODE = b"x-envoy-downstream-service-node"
DECORATOR = b"x-envoy-decorator-operation"
USER_AGENT = b"user-agent"
VIA = b"via"

FROM_OUTSIDE = frozenset(
    b"x-envoy-max-retries x-envoy-retry-on x-envoy-retry-grpc-on x-envoy-upstream-rq-timeout-ms "
    b"x-envoy-upstream-rq-per-try-timeout-ms x-envoy-upstream-stream-duration-ms x-envoy-retriable-status-codes "
    b"x-envoy-retriable-header-names x-envoy-hedge-on-per-try-timeout x-envoy-upstream-alt-stat-name "
    b"x-envoy-upstream-rq-timeout-alt-response x-envoy-expected-rq-timeout-ms x-envoy-force-trace x-envoy-ip-tags "
    b"x-envoy-original-url".split()
)
"""Envoy's own headers that only an internal request may carry."""

AT_THE_EDGE = frozenset({DECORATOR, SERVICE_CLUSTER, SERVICE_NODE})
"""Those that an edge request may not carry either."""

HOP = frozenset({b"keep-alive", b"proxy-connection", b"upgrade", b"te", INTERNAL})
"""Never passed on."""

CLIENT_CERT = b"x-forwarded-client-cert"

Ip = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Workload:
    """This process as it appears in headers: its address, the id and the cluster of its node, its machine's name.

    `zone` is its node's; `environment` what of its environment spans may tell.
    """

    address: str = "127.0.0.1"
    node: str = ""
    cluster: str = ""
    host: str = ""
    zone: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)


LOOPBACK = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
"""Peers in whose place Envoy puts its own address; others of 127.0.0.0/8 are peers like any."""


def parsed(text: str) -> Ip | None:
    """An IP address; None for anything else."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def forwarded_for(value: bytes | None, skip: int) -> tuple[str, bool]:
    """The address in x-forwarded-for that stands `skip` places before the last, and whether it is the only one.

    Empty where there is none (envoy source: Utility::getLastAddressFromXFF).
    """
    if value is None:
        return "", False
    parts = value.split(b",")
    if skip >= len(parts):
        return "", False
    address = parsed(parts[-1 - skip].strip().decode("latin-1"))
    if address is None:
        return "", False
    return str(address), len(parts) == 1


class Forwarder:
    """The options of a connection manager that differ from a sidecar's."""

    __slots__ = ("_networks", "_options", "_workload", "drops_underscores", "keeps_certificate", "rejects_underscores")

    def __init__(self, options: Forwarding, workload: Workload) -> None:
        self._options = options
        self._workload = workload
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(f"{each.address}/{each.prefix_len}") for each in options.internal_cidrs
        ]
        self.keeps_certificate = options.keep_client_cert
        self.rejects_underscores = options.underscores == "REJECT_REQUEST"
        self.drops_underscores = options.underscores == "DROP_HEADER"

    def authority(self, authority: bytes, port: int) -> bytes:
        """The Host without what the manager takes off it (envoy source: maybeNormalizeHost)."""
        options = self._options
        if options.strip_trailing_dot:
            authority = without_trailing_dot(authority)
        if options.strip_port != "no":
            host, own = split_port(authority)
            if (
                own is not None
                and options.strip_port in ("any", "matching")
                and (options.strip_port == "any" or own == port)
            ):
                return host
        return authority

    def locate(self, request: RequestView) -> bool:
        """Find out who sent the request (`remote`, `internal`); whether it comes in at the edge."""
        options = self._options
        sent = request.headers.get(FOR)
        hops = options.xff_num_trusted_hops
        if options.use_remote_address:
            alone = sent is None
            address = forwarded_for(sent, hops - 1)[0] if hops else ""
            address = address or self._peer(request)
        else:
            address, alone = forwarded_for(sent, hops)
        request.internal = alone and bool(address) and self._is_internal(address)
        request.remote = address
        return options.use_remote_address and not request.internal

    def _peer(self, request: RequestView) -> str:
        return request.source or self._workload.address

    def _is_internal(self, address: str) -> bool:
        found = parsed(address)
        return found is not None and any(found in each for each in self._networks)

    def tell(self, request: RequestView, headers: Lines, port: int, *, edge: bool) -> None:
        """Say in the headers what is known of the client, and where the request came to."""
        options = self._options
        trusted = not options.use_remote_address or options.xff_num_trusted_hops > 0
        if options.use_remote_address:
            if not options.skip_xff_append:
                headers.join(FOR, self._appended(request), b",")
            if not trusted or PROTO not in headers.known:
                headers.put(PROTO, self._proto(request, port))
        elif PROTO not in headers.known:
            headers.put(PROTO, self._proto(request, port))
        if options.append_x_forwarded_port and (not trusted or PORT not in headers.known):
            headers.put(PORT, b"%d" % port)
        if options.overwrite_scheme:
            request.scheme = options.overwrite_scheme.encode()
            headers.put(PROTO, request.scheme)
        if request.internal:
            headers.put(INTERNAL, b"true")
        if options.add_user_agent:
            headers.put(SERVICE_CLUSTER, self._workload.cluster.encode())
            if not headers.known.get(USER_AGENT):
                headers.put(USER_AGENT, self._workload.cluster.encode())
            if self._workload.node:
                headers.put(SERVICE_NODE, self._workload.node.encode())
        if options.via:
            headers.join(VIA, options.via.encode(), b", ")
        if edge and parsed(request.remote) is not None:
            headers.put(EXTERNAL_ADDRESS, request.remote.encode())

    def _appended(self, request: RequestView) -> bytes:
        peer = parsed(self._peer(request))
        return (self._workload.address if peer is None or peer in LOOPBACK else str(peer)).encode()

    def _proto(self, request: RequestView, port: int) -> bytes:
        return b"https" if port in self._options.ports_as_https else request.scheme

    def wants_id(self, sent: bytes | None, *, edge: bool) -> bool:
        """Whether a new request id is made."""
        options = self._options
        return options.generate_request_id and (not sent or (edge and not options.preserve_external_request_id))


class Lines:
    """Headers that are being completed, and what is known of them by name."""

    __slots__ = ("headers", "known")

    def __init__(self, headers: HeaderList, known: dict[bytes, bytes]) -> None:
        self.headers = headers
        self.known = known

    def put(self, name: bytes, value: bytes) -> None:
        """One line of this name: in the place of what was sent, else at the end."""
        put(self.headers, name, value, sent=name in self.known)
        self.known[name] = value

    def join(self, name: bytes, value: bytes, by: bytes) -> None:
        """Append to the line of this name."""
        sent = self.known.get(name)
        self.put(name, sent + by + value if sent else value)


def put(headers: HeaderList, name: bytes, value: bytes, *, sent: bool = True) -> None:
    """One line of this name: in the place of what the program sent, else at the end."""
    if sent:
        for index, pair in enumerate(headers):
            if pair[0].lower() == name:
                headers[index + 1 :] = [other for other in headers[index + 1 :] if other[0].lower() != name]
                headers[index] = (name, value)
                return
    headers.append((name, value))


def without_trailing_dot(authority: bytes) -> bytes:
    """The dot at the end of a host, before its port, goes."""
    colon = port_start(authority)
    host = authority if colon < 0 else authority[:colon]
    return host[:-1] + authority[len(host) :] if host.endswith(b".") else authority


def split_port(authority: bytes) -> tuple[bytes, int | None]:
    """The host, and the port where there is a number."""
    colon = port_start(authority)
    if colon < 0 or not authority[colon + 1 :].isdigit():
        return authority, None
    return authority[:colon], int(authority[colon + 1 :][:9])


def port_start(authority: bytes) -> int:
    """Where the last colon stands; a bracketed IPv6 address keeps its own (source: HeaderUtility::getPortStart)."""
    colon = authority.rfind(b":")
    return -1 if colon < authority.rfind(b"]") else colon
