"""A connection manager at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..xds.model.filters import Alpn, RouterFilter
from ..xds.model.listener import HttpConnectionManager
from ..xds.model.values import Note
from .admission import Admission
from .answering import answering_of
from .filters.chain import FilterChainRuntime, compile_chain
from .rewriting import rewriting_of
from .route_table import RouteTable

if TYPE_CHECKING:
    from .plan import Missing, Plan


class HttpRuntime:
    """A connection manager ready to route: its table (inline or by RDS) and its filters."""

    __slots__ = (
        "admission",
        "alpn",
        "answering",
        "config",
        "filters",
        "inline",
        "limited",
        "notes",
        "quiet",
        "rewriting",
        "scope",
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
        self.rewriting = rewriting_of(config.local_reply, scope, lambda: plan.runtime.uniform())
        self.notes: tuple[Note, ...] = self.filters.notes + (() if self.rewriting is None else self.rewriting.notes)
        """What is configured and cannot be done."""

    def table(self, plan: Plan) -> RouteTable | Missing:
        """The route table in force."""
        return self.inline if self.inline is not None else plan.table(self.config.rds)
