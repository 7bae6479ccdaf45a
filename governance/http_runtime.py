"""A connection manager at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..xds.model.filters import Alpn, RouterFilter
from ..xds.model.listener import HttpConnectionManager
from ..xds.model.values import Note
from .access_logs import Logs
from .admission import Admission
from .answering import answering_of
from .composition.compose import Policies
from .composition.shadowing import under
from .describing import Landing
from .filters.chain import FilterChainRuntime, compile_chain
from .rewriting import rewriting_of
from .route_table import RouteTable
from .tracing import TracingRuntime

if TYPE_CHECKING:
    from .plan import Missing, Plan


class HttpRuntime:
    """A connection manager ready to route: its table (inline or by RDS) and its filters."""

    __slots__ = (
        "_variants",
        "admission",
        "alpn",
        "answering",
        "config",
        "filters",
        "inline",
        "landings",
        "limited",
        "logs",
        "notes",
        "quiet",
        "rewriting",
        "scope",
        "tracing",
    )

    def __init__(self, config: HttpConnectionManager, scope: str, plan: Plan) -> None:
        self.config = config
        self.admission = Admission(config, plan.runtime.options.workload)
        self.alpn: dict[str, tuple[str, ...]] = next(
            (dict(each.config.overrides) for each in config.http_filters if isinstance(each.config, Alpn)), {}
        )
        """What Istio's alpn filter has endpoints offered, by the protocol that is spoken to them."""
        self.answering = answering_of(config)
        self.quiet = any(
            isinstance(each.config, RouterFilter) and each.config.suppress_envoy_headers for each in config.http_filters
        )
        """Router.suppress_envoy_headers."""
        self.scope = scope
        self.limited = bool(config.stream_idle_timeout_s or config.max_stream_duration_s or config.request_timeout_s)
        """Whether something ends calls besides their routes (governance.timing)."""
        self.inline = RouteTable(config.route_config) if config.route_config is not None else None
        self.filters: FilterChainRuntime = compile_chain(
            config.http_filters,
            scope,
            plan.runtime,
            plan.snapshot.extensions,
        )
        self._variants: dict[object, FilterChainRuntime] = {}
        self.landings: dict[tuple[int, str], Landing] = {}
        """What is said of the app behind it, by port and cluster (governance.describing)."""
        self.rewriting = rewriting_of(config.local_reply, scope, lambda: plan.runtime.uniform())
        self.tracing = TracingRuntime(config.tracing, scope, plan.runtime) if config.tracing is not None else None
        self.logs = Logs(config.access_logs, scope, plan.runtime) if config.access_logs else None
        """Where requests are told of when they are over."""
        self.notes: tuple[Note, ...] = self.filters.notes
        for each in (self.rewriting, self.tracing, self.logs):
            self.notes += () if each is None else each.notes
        """What is configured and cannot be done."""

    def filters_for(self, policies: Policies | None) -> FilterChainRuntime:
        """The filters as a suite wants them: without some, or with some in shadow mode."""
        if policies is None or not policies.filter_modes:
            return self.filters
        found = self._variants.get(policies.filter_modes)
        if found is None:
            found = self._variants.setdefault(policies.filter_modes, under(self.filters, policies))
        return found

    def table(self, plan: Plan) -> RouteTable | Missing:
        """The route table in force."""
        return self.inline if self.inline is not None else plan.table(self.config.rds)
