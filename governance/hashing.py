"""What a request is hashed by, for the balancers that go by a hash (envoy source: HashPolicyImpl).

The policies of a route, or of a cluster, each look at one thing; those that find it are combined: the hash so far is
rotated by one bit and the next one xored into it. None found: no hash, and the balancer draws one.

In process nobody connects to a proxy, so what Envoy reads from that connection stands for the caller instead: the
*source address* is this workload's own (127.0.0.1 where it does not know it), and a made cookie is that of a connection
from there with a port of its own for each call. A program that keeps its cookies stays where its first call went, one
that does not is spread, as behind a sidecar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xxhash import xxh64_hexdigest

from ..xds.model.route import HashPolicy
from .balancing.digest import MASK, xx_hash
from .regex import Rewriter
from .request import RequestView

FIRST_PORT, PORTS = 32768, 28232
"""The range that Linux takes the ports of connections from (net.ipv4.ip_local_port_range)."""


class Caller:
    """Who asks, as Envoy would see the connection; `cookies` collects the `set-cookie` values that hashing makes."""

    __slots__ = ("_local", "_port", "address", "cookies")

    def __init__(self, address: str, local: str = "", port: Callable[[], int] | None = None) -> None:
        """`address`: without a port; `port` gives that where somebody needs it. `local`: what was dialled.

        Without a port no cookie is made.
        """
        self.address = address
        self._port = port
        self._local = local
        self.cookies: list[bytes] = []

    def token(self) -> bytes | None:
        """The value of a cookie that is made for this connection: 16 hexadecimal digits; None where none is."""
        if self._port is None:
            return None
        host = f"[{self.address}]" if ":" in self.address else self.address
        digits: str = xxh64_hexdigest(f"{host}:{self._port()}{self._local}".encode())
        return digits.encode()


class Cookies:
    """Cookies for the response. Those of a balancing policy are set *late*: behind all mutations, and on every answer.

    The others come before the mutations, on the responses of endpoints only, and once for every try (seen).
    """

    __slots__ = ("_values", "late")

    def __init__(self, values: Sequence[bytes], *, late: bool) -> None:
        self._values = values
        self.late = late

    def headers(self, times: int = 1) -> list[tuple[bytes, bytes]]:
        """The headers that set them."""
        return [(b"set-cookie", value) for value in self._values] * times


Method = Callable[[RequestView, Caller], "int | None"]


class HashPolicies:
    """The hash policies of a route or a cluster, compiled."""

    __slots__ = ("_methods",)

    def __init__(self, policies: Sequence[HashPolicy]) -> None:
        self._methods = tuple((_METHODS[each.kind](each), each.terminal) for each in policies)

    def hash(self, request: RequestView, caller: Caller) -> int | None:
        """The 64 bits of a request as it goes out; None where nothing of what is asked for is there."""
        found: int | None = None
        for method, terminal in self._methods:
            new = method(request, caller)
            if new is not None:
                found = new if found is None else ((found << 1 | found >> 63) & MASK) ^ new
            if terminal and found is not None:
                break
        return found


def compile_hashing(policies: Sequence[HashPolicy]) -> HashPolicies | None:
    """None where nothing is hashed."""
    return HashPolicies(policies) if policies else None


def _header(policy: HashPolicy) -> Method:
    """All values of a header, in an order of their own; the hash of one is the seed of the next one's."""
    name = policy.name.lower().encode()
    rewriter = Rewriter(policy.regex) if policy.regex is not None else None

    def method(request: RequestView, caller: Caller) -> int | None:
        del caller
        values = request.values(name)
        if not values:
            return None
        if rewriter is not None:
            values = tuple(rewriter(each) for each in values)
        if len(values) == 1:
            return xx_hash(values[0])
        found = 0
        for value in sorted(values):
            found = xx_hash(value, found)
        return found

    return method


def _cookie(policy: HashPolicy) -> Method:
    """The value of a cookie; with a ttl (0: of the session) one is made where there is none."""
    name = policy.name.encode()
    about = _attributes(policy)

    def method(request: RequestView, caller: Caller) -> int | None:
        value = cookie_value(request, name)
        if value:
            return xx_hash(value)
        made = caller.token() if about is not None else None
        if about is None or made is None:
            return None
        caller.cookies.append(name + b'="' + made + b'"' + about)
        return xx_hash(made)

    return method


def _attributes(policy: HashPolicy) -> bytes | None:
    """What follows the value of a made cookie (envoy source: makeSetCookieValue)."""
    if policy.ttl_s is None:
        return None
    parts = [f"Max-Age={int(policy.ttl_s)}"] if int(policy.ttl_s) else []
    if policy.cookie_path:
        parts.append(f"Path={policy.cookie_path}")
    parts += [f"{name}={value}" if value else name for name, value in policy.cookie_attributes]
    parts.append("HttpOnly")
    return "".join(f"; {each}" for each in parts).encode()


def cookie_value(request: RequestView, name: bytes) -> bytes:
    """The first cookie of that name, without its quotes; empty where there is none."""
    for header in request.values(b"cookie"):
        for each in header.split(b";"):
            key, mark, value = each.lstrip(b" ").partition(b"=")
            if mark and key == name:
                return value[1:-1] if len(value) > 1 and value[:1] == value[-1:] == b'"' else value
    return b""


def _source_ip(policy: HashPolicy) -> Method:
    del policy
    return lambda request, caller: xx_hash(caller.address.encode())


def _query_parameter(policy: HashPolicy) -> Method:
    name = policy.name.encode()

    def method(request: RequestView, caller: Caller) -> int | None:
        del caller
        value = request.query.get(name)
        return None if value is None else xx_hash(value)

    return method


def _filter_state(policy: HashPolicy) -> Method:
    """No filter here leaves an object behind that could be hashed."""
    del policy
    return lambda request, caller: None


_METHODS: dict[str, Callable[[HashPolicy], Method]] = {
    "header": _header,
    "cookie": _cookie,
    "source_ip": _source_ip,
    "query_parameter": _query_parameter,
    "filter_state": _filter_state,
}
