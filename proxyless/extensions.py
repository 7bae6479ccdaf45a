"""What other packages may bring, and what they have to look like (docs/extensions.md).

A package says by entry points what it brings. In the groups `proxyless.filters`, `proxyless.balancers` and
`proxyless.matchers` the name is the full name of a type (`acme.filters.ApiKey`, the last part of a type URL), and the
object is a factory: it is called with a `Config` and returns what is described here. A factory that raises refuses the
configuration: the resource that holds it is refused, and the one before stays in force.

    [project.entry-points."proxyless.filters"]
    "acme.filters.ApiKey" = "acme_filters:ApiKey"

Group `proxyless.policies`: a name for lists of policies (docs/composition.md); the object is a list, or makes one.
Group `proxyless.suites`: the import name of a library; the object has `patch(module)`, which `proxyless run` calls once
a program has imported that library.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from .governance.balancing.extension import HostView as Host
from .governance.balancing.extension import LoadBalancerContext
from .xds.model.extension import Config

if TYPE_CHECKING:
    from .governance.composition.messages import Request, Response

__all__ = ["Config", "DataInput", "Host", "HttpFilter", "InputMatcher", "LoadBalancer", "LoadBalancerContext"]


class HttpFilter(Protocol):
    """An HTTP filter at work, for the chain, route or virtual host that configures it; either method will do.

    It is called from any thread. `Request` and `Response` are those of `proxyless.policies`. What it raises lets
    nothing through: 503, or on the way back an `ExtensionError`.

    With an attribute `max_request_bytes` `on_request` sees the body of a request (`request.body`) that is no longer;
    one that is longer is answered with 413, as by Envoy's buffer filter.
    """

    def on_request(self, request: Request) -> Response | Awaitable[Response | None] | None:
        """See or change a request; None lets it pass, a response answers it. Coroutines are for async suites."""

    def on_response(self, request: Request, response: Response) -> None:
        """See or change the headers of a response, the mesh's own included."""


class LoadBalancer(Protocol):
    """A balancing policy (Envoy: LoadBalancingPolicy, ThreadAwareLoadBalancer) of one cluster; one method will do."""

    def choose_host(self, hosts: Sequence[Host], draw: Callable[[int], int]) -> Host | None:
        """One of the hosts; None for none of them, which fails the request with UH.

        `hosts`: two or more, those that priority, health and locality leave. `draw(n)`: a random integer in [0, n).
        """

    def choose_host_for(
        self, context: LoadBalancerContext, hosts: Sequence[Host], draw: Callable[[int], int]
    ) -> Host | None:
        """The same for a policy that goes by the request, too; it is asked in place of the other."""


class DataInput(Protocol):
    """What a tree of matchers looks at (xds.type.matcher.v3.Matcher, `input`): in route tables and authorization."""

    def get(self, headers: Mapping[str, str]) -> str | None:
        """The value; None where there is none, which no matcher matches.

        `headers`: of the request, by name in any case, with `:method`, `:authority` and `:path`.
        """


class InputMatcher(Protocol):
    """What a tree of matchers asks of a value (`custom_match` of a predicate)."""

    def match(self, value: str) -> bool:
        """Whether it matches."""
