"""What a list of policies may hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from .builtin import BUILTIN, SHADOWED, Mode
from .messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

ON: Final = {
    "breaker": frozenset({"UO", "UH"}),
    "limit": frozenset({"RL", "RLSE"}),
    "failure": frozenset({"UF", "UC", "UR", "UT", "SI", "UMSDR", "URX", "NC", "LR", "DO", "UDO"}),
}
"""What a fallback may be for, as Envoy's response flags: a threshold reached or no endpoint left (ejected, unhealthy);
a rate limit; any other failure of the call itself."""

FLAGS: Final = frozenset({*(flag for flags in ON.values() for flag in flags), "NR", "FI", "UAEX"})


class PolicyError(TypeError):
    """A list of policies, or what one of them has answered, makes no sense; the text names it."""


class Policy(Protocol):
    """An own policy: a class with either of these methods, or both. They may be coroutines where the suite is async.

    With an attribute `max_request_bytes` `on_request` sees the body of a request (`request.body`) that is no longer;
    one that is longer is answered with 413, as by Envoy's buffer filter.
    """

    def on_request(self, request: Request) -> Response | Awaitable[Response | None] | None:
        """See or change a request; None lets it pass, a response answers it here."""

    def on_response(self, request: Request, response: Response) -> Response | Awaitable[Response | None] | None:
        """See or change the headers of its response; another response takes the place of one to an outgoing call."""


class Place:
    """Where the mesh's own policies stand in a list; last, where a list does not say it."""

    def __repr__(self) -> str:
        return "MESH"


MESH: Final = Place()


@dataclass(frozen=True, slots=True)
class Switch:
    """Policies of the mesh that are switched off, or into shadow mode."""

    mode: Mode
    names: tuple[str, ...]
    every: bool = False
    """Whether nobody has named them: what a suite cannot switch is left out there."""


def off(*names: str) -> Switch:
    """Switch policies of the mesh off (docs/composition.md lists them)."""
    if not names:
        raise PolicyError("off() names no policy; PROXYLESS_DISABLE=1 switches all of them off")
    return Switch("off", _known(names, "off"))


def shadow(*names: str) -> Switch:
    """Have policies of the mesh decide, and not enforce what they decide; without names all that refuse, delay, repeat
    or copy requests. Where `routing` is in shadow so are all of these."""
    if not names or "routing" in names:
        return Switch("shadow", (*_known(names, "shadow"), *SHADOWED), every=True)
    return Switch("shadow", _known(names, "shadow"))


def _known(names: Iterable[str], mode: str) -> tuple[str, ...]:
    known = [each.name for each in BUILTIN.values() if mode == "off" or each.shadows]
    for name in names:
        if name == "mtls":
            raise PolicyError("mtls cannot be switched off in a program: a PeerAuthentication or DestinationRule does")
        if name not in known:
            raise PolicyError(f"{mode}({name!r}): the policies are {', '.join(known)}")
    return tuple(names)


Answer = Response | Callable[[Request, Response], Response | None] | str


class Fallback:
    """What to answer when a call has failed: a response, a function that makes one, or the URL of another host.

    `on`: `breaker` (a threshold is reached, or no endpoint is left), `limit` (a rate limit), `failure` (it could not be
    made, was cut, took too long), or Envoy's response flags. `statuses`: responses of endpoints that count as failed.
    A function gets the request and the response that the caller would have got; None leaves it at that.
    """

    __slots__ = ("answer", "flags", "host", "kind", "on", "port", "statuses")

    def __init__(
        self,
        answer: Answer,
        *,
        on: Collection[str] = tuple(ON),
        statuses: Collection[int] = (),
    ) -> None:
        self.answer = answer
        self.on = (on,) if isinstance(on, str) else tuple(on)
        self.statuses = frozenset(statuses)
        unknown = [each for each in self.on if each not in ON and each not in FLAGS]
        if unknown:
            named = ", ".join(map(repr, unknown))
            raise PolicyError(f"Fallback(on=...): {named}: there are {', '.join(ON)} and {', '.join(sorted(FLAGS))}")
        for status in self.statuses:
            if status not in range(400, 600):
                raise PolicyError(f"Fallback(statuses=...): {status!r} is not the status of a failure, 400 to 599")
        if not self.on and not self.statuses:
            raise PolicyError("Fallback(on=[]): it would be asked for nothing; without `on` it is for all failures")
        self.flags = frozenset(flag for each in self.on for flag in ON.get(each, (each,)))
        self.host, self.port = b"", 0
        if isinstance(answer, str):
            self.kind = "host"
            self.host, self.port = _host(answer)
        elif isinstance(answer, Response) or callable(answer):
            self.kind = "response" if isinstance(answer, Response) else "function"
        else:
            raise PolicyError(f"Fallback({answer!r}): it is a Response, a function or the URL of a host")

    def __repr__(self) -> str:
        return f"Fallback({self.kind} on {', '.join((*self.on, *map(str, sorted(self.statuses))))})"


def _host(url: str) -> tuple[bytes, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.username:
        raise PolicyError(f"Fallback({url!r}): the URL of another host is http://HOST or http://HOST:PORT")
    return parts.hostname.encode("idna") if not parts.hostname.isascii() else parts.hostname.encode(), port


class Suite:
    """Policies under one name, to be used in other lists."""

    __slots__ = ("name", "policies")

    def __init__(self, name: str, policies: Sequence[Item]) -> None:
        self.name = name
        self.policies = tuple(policies)

    def __repr__(self) -> str:
        return f"Suite({self.name!r})"


Item = object
"""An own policy, `MESH`, a `Switch`, a `Fallback`, a `Suite`, another list, or the name of what a package brings."""
