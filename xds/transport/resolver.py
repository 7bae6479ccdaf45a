"""One DNS look-up: the system's resolver, or a stub resolver where the answer's TTL or the servers asked matter.

The system's resolver knows the host's file, search domains and whatever else the machine is set up for, but tells no
TTL. Where a cluster asks for TTLs (istiod always does) or names its servers, dnspython asks, the host's file first as
Envoy's c-ares does. What is no answer (a server that fails or is silent) is told apart from an empty one (no such
name): Envoy keeps the hosts of the first and drops those of the second.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from ..model.dns import DnsOptions
from ..model.records import dataclass

HOSTS = Path("/etc/hosts")
EMPTY = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
V4, V6 = socket.AF_INET, socket.AF_INET6


@dataclass(frozen=True, slots=True)
class Answer:
    """Addresses in the order they came; `ttl_s` in seconds, None where nobody said; `failed`: there was no answer."""

    addresses: tuple[str, ...] = ()
    ttl_s: float | None = None
    failed: bool = False


Resolve = Callable[[str, socket.AddressFamily, DnsOptions], Answer]

FAILED = Answer(failed=True)


def resolve(host: str, family: socket.AddressFamily, options: DnsOptions) -> Answer:
    """The addresses of a name, of one family or (AF_UNSPEC) of both."""
    try:
        literal = ip_address(host)
    except ValueError:
        pass
    else:
        wanted = family in (socket.AF_UNSPEC, V6 if literal.version == 6 else V4)
        return Answer((str(literal),) if wanted else ())
    if options.respect_ttl or options.servers:
        answer = _from_file(host, family) or _ask(host, family, options)
        if answer is not None:
            return answer
    return system(host, family)


class NameService:
    """Look-ups for requests that wait for them: asked for (name, options), answers (addresses or None, TTL)."""

    def ask(self, request: tuple[str, DnsOptions], timeout_s: float) -> tuple[tuple[str, ...] | None, float | None]:
        """In the caller's own thread."""
        host, options = request
        answer = look_up_host(host, replace(options, query_timeout_s=min(options.query_timeout_s, timeout_s)), resolve)
        return None if answer.failed else answer.addresses, answer.ttl_s

    async def ask_async(
        self, request: tuple[str, DnsOptions], timeout_s: float
    ) -> tuple[tuple[str, ...] | None, float | None]:
        """In a thread of the loop's."""
        import asyncio  # is there: a coroutine runs

        work = asyncio.get_running_loop().run_in_executor(None, self.ask, request, timeout_s)
        try:
            return await asyncio.wait_for(work, timeout_s)
        except TimeoutError:
            return None, None


FAMILIES = {
    "V4_ONLY": (V4,),
    "V6_ONLY": (V6,),
    "AUTO": (V6, V4),
    "V4_PREFERRED": (V4, V6),
    "ALL": (socket.AF_UNSPEC,),
}


def look_up_host(host: str, options: DnsOptions, ask: Resolve) -> Answer:
    """The addresses of a name, of the families that the cluster wants, in its order of preference."""
    answer = Answer()
    for family in FAMILIES[options.lookup_family]:
        found = ask(host, family, options)
        if found.addresses:
            return found
        answer = found if found.failed else answer
    return answer


def system(host: str, family: socket.AddressFamily) -> Answer:
    """What the machine's own resolver says."""
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        return Answer() if error.errno in EMPTY else FAILED
    except (OSError, UnicodeError):
        return FAILED
    return Answer(tuple(dict.fromkeys(str(each[4][0]) for each in found)))


def _from_file(host: str, family: socket.AddressFamily) -> Answer | None:
    """What the host's file says of a name, if anything."""
    try:
        lines = HOSTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    name = host.lower().rstrip(".")
    found: list[str] = []
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        if name in (each.lower() for each in names) and _family(address) in (
            (V4, V6) if family == socket.AF_UNSPEC else (family,)
        ):
            found.append(address)
    return Answer(tuple(dict.fromkeys(found))) if found else None


def _family(address: str) -> socket.AddressFamily | None:
    """None where it is no address at all."""
    try:
        return V6 if ip_address(address).version == 6 else V4
    except ValueError:
        return None


def _ask(host: str, family: socket.AddressFamily, options: DnsOptions) -> Answer | None:
    """What the DNS says; None where this machine has no resolver configured and the cluster names none."""
    import dns.exception
    import dns.resolver

    machines = options.servers_are_fallback or not options.servers
    try:
        asking = dns.resolver.Resolver(configure=machines)
    except dns.resolver.NoResolverConfiguration:
        if not options.servers:
            return None
        machines, asking = False, dns.resolver.Resolver(configure=False)
    asking.lifetime = options.query_timeout_s * options.query_tries
    asking.timeout = options.query_timeout_s
    if not machines:
        asking.nameservers = [dns.nameserver.Do53Nameserver(each.host, each.port or 53) for each in options.servers]
    addresses: list[str] = []
    ttl_s: float | None = None
    failed = False
    for kind, own in (("AAAA", V6), ("A", V4)):
        if family not in (socket.AF_UNSPEC, own):
            continue
        try:
            found = asking.resolve(host, kind, tcp=options.use_tcp, search=not options.no_search or None)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            continue
        except dns.exception.DNSException:
            failed = True
            continue
        addresses += [str(each) for each in found]
        least = float(found.chaining_result.minimum_ttl)
        ttl_s = least if ttl_s is None else min(ttl_s, least)
    if failed and not addresses:
        return FAILED
    return Answer(tuple(dict.fromkeys(addresses)), ttl_s)
