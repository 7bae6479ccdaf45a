"""Route configurations, taken apart before they are parsed: a table of a thousand hosts costs what is used of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Literal

from google.protobuf.message import DecodeError

from ...model.matchers import PathMatcher
from ...model.matching import MatcherTree
from ...model.resource import ResourceError, ResourceType
from ...model.route import (
    LazyVirtualHost,
    NonForwardingAction,
    Route,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
)
from ...model.values import Note
from ..opening import checked
from ..refused import UNEXPECTED, NotUnderstoodError, RefusedError
from ..schema import types as pb
from ..split import VIRTUAL_HOSTS_FIELD, Parts, first_text, split_field
from .extensions import CLUSTER_SPECIFIERS, HTTP_INPUTS, ROUTE_TREE_ACTIONS, extension, type_at
from .http_filters import per_filter_configs
from .http_filters.cors import cors_policy
from .rate_limits import rate_limits
from .route import MAX_BODY, route
from .route_policies import mirror_policies, retry_policy
from .trees import Place, matcher_tree, only_request_headers
from .values import header_mutations, metadata, named, optional

log = logging.getLogger("proxyless.xds")

OnReject = Callable[[ResourceError], None]

DELTA_GRPC = 3
TLS: tuple[Literal["NONE", "EXTERNAL_ONLY", "ALL"], ...] = ("NONE", "EXTERNAL_ONLY", "ALL")


def route_configuration(
    raw: bytes, previous: RouteConfiguration | None = None, on_reject: OnReject | None = None
) -> RouteConfiguration:
    """envoy.config.route.v3.RouteConfiguration from its bytes.

    A virtual host whose bytes are those of `previous` stays the same object, decoded or not. `on_reject` is told of
    each that turns out to be bad when it is first hit.
    """
    rest, hosts = split_field(raw, VIRTUAL_HOSTS_FIELD)
    return _configuration(pb.route_v3.RouteConfiguration.FromString(rest), hosts, previous, on_reject)


def inline_configuration(message: pb.route_v3.RouteConfiguration) -> RouteConfiguration:
    """The same from a message inside a listener."""
    hosts = [each.SerializeToString() for each in message.virtual_hosts]
    return _configuration(message, hosts, None)


def _configuration(
    message: pb.route_v3.RouteConfiguration,
    hosts: Parts | list[bytes],
    previous: RouteConfiguration | None,
    on_reject: OnReject | None = None,
) -> RouteConfiguration:
    checked(message, without=("virtual_hosts",))
    _refuse_extensions(message)
    given = message.HasField("max_direct_response_body_size_bytes")
    max_body = message.max_direct_response_body_size_bytes.value if given else MAX_BODY
    old = previous.virtual_hosts if previous is not None else ()
    same = unchanged(hosts, old)
    if previous is not None and previous.max_direct_response_body_size_bytes != max_body:
        same = [None] * len(hosts)  # what is too long for one is not for the other
    before = {each.name: each for each in old} if None in same else {}
    loader = _Loader(message.name, max_body)
    lazy = tuple(
        kept or lazy_virtual_host(host, loader, before, on_reject) for host, kept in zip(hosts, same, strict=True)
    )
    _refuse_duplicates(message.name, lazy)
    return RouteConfiguration(
        name=message.name,
        virtual_hosts=lazy,
        headers=header_mutations(message),
        internal_only_headers=tuple(message.internal_only_headers),
        most_specific_header_mutations_wins=message.most_specific_header_mutations_wins,
        ignore_port_in_host_matching=message.ignore_port_in_host_matching,
        vhost_header=message.vhost_header,
        ignore_path_parameters_in_path_matching=message.ignore_path_parameters_in_path_matching,
        validate_clusters=message.validate_clusters.value,
        max_direct_response_body_size_bytes=max_body,
        mirrors=mirror_policies(message.request_mirror_policies),
        filters=per_filter_configs(message.typed_per_filter_config),
    )


def unchanged(hosts: Iterable[bytes], old: Sequence[LazyVirtualHost]) -> list[LazyVirtualHost | None]:
    """For the bytes of each virtual host the one of the version before with the same bytes; None where it has none.

    What does not change keeps its place, but for what comes or goes before it.
    """
    found: list[LazyVirtualHost | None] = []
    places: dict[str, int] = {}
    shift, size = 0, len(old)
    for index, raw in enumerate(hosts):
        place = index + shift
        if not (0 <= place < size and old[place].raw == raw):
            if not places:
                places = {each.name: number for number, each in enumerate(old)}
            place = places.get(first_text(raw), size)
            if place == size or old[place].raw != raw:
                found.append(None)
                continue
            shift = place - index
        found.append(old[place])
    return found


def _refuse_extensions(message: pb.route_v3.RouteConfiguration) -> None:
    source = message.vhds.config_source
    delta = source.WhichOneof("config_source_specifier") == "ads" or source.api_config_source.api_type == DELTA_GRPC
    if message.HasField("vhds") and not delta:
        raise RefusedError("vhds: only 'DELTA_GRPC' or 'ADS' (which uses Delta xDS) is supported as a config source.")
    for each in message.cluster_specifier_plugins:
        if not each.is_optional:
            type_at(each.extension.name, each.extension.typed_config, CLUSTER_SPECIFIERS)


class _Loader:
    """What the virtual hosts of one table have in common. A mesh has thousands of them, so they share it."""

    __slots__ = ("describe", "load", "max_body", "table")

    def __init__(self, table: str = "", max_body: int = MAX_BODY) -> None:
        self.table = table
        self.max_body = max_body
        self.load: Callable[[bytes], VirtualHost] = self._load
        self.describe: Callable[[bytes], tuple[Note, ...]] = self._describe

    def _load(self, data: bytes) -> VirtualHost:
        try:
            return virtual_host(data, self.max_body)
        except RefusedError as error:
            raise ResourceError(ResourceType.ROUTE, self.table, str(error)) from error
        except Exception as error:
            # Whoever asked is a call, or the control thread: neither may end by it.
            name = pb.route_v3.VirtualHost.FromString(data).name
            log.exception("cannot decode virtual host %s of %s", name, self.table)
            raise ResourceError(ResourceType.ROUTE, self.table, f"{UNEXPECTED}: {error!r}") from error

    def _describe(self, data: bytes) -> tuple[Note, ...]:
        # The table is for people, who may never ask.
        from ..coverage import virtual_host_notes

        return virtual_host_notes(self.table, data)


_NO_TABLE = _Loader()


def lazy_virtual_host(
    raw: bytes,
    loader: _Loader = _NO_TABLE,
    before: Mapping[str, LazyVirtualHost] = MappingProxyType({}),
    on_reject: OnReject | None = None,
) -> LazyVirtualHost:
    """A virtual host by name and domains.

    Raises:
        RefusedError: the bytes are no virtual host.
    """
    try:
        message = pb.route_v3.VirtualHost.FromString(raw)
    except DecodeError as error:
        raise RefusedError(f"virtual_hosts: {error}") from error
    name = message.name
    return LazyVirtualHost(name, tuple(message.domains), raw, loader.load, before.get(name), loader.describe, on_reject)


def virtual_host(raw: bytes, max_body: int = MAX_BODY) -> VirtualHost:
    """envoy.config.route.v3.VirtualHost from its bytes."""
    message = pb.route_v3.VirtualHost.FromString(raw)
    try:
        checked(message)
        return _virtual_host(message, max_body)
    except RefusedError as error:
        raise error.within(f"virtual host {message.name}") from error


def _virtual_host(message: pb.route_v3.VirtualHost, max_body: int) -> VirtualHost:
    for cluster in message.virtual_clusters:
        if not cluster.headers:
            raise RefusedError("virtual clusters must define 'headers'")
    routes, matcher = _routes(message, max_body)
    return VirtualHost(
        name=message.name,
        domains=tuple(message.domains),
        routes=routes,
        matcher=matcher,
        require_tls=named(TLS, message.require_tls),
        headers=header_mutations(message),
        retry=retry_policy(message.retry_policy) if message.HasField("retry_policy") else None,
        hedge_on_per_try_timeout=message.hedge_policy.hedge_on_per_try_timeout,
        include_request_attempt_count=message.include_request_attempt_count,
        include_attempt_count_in_response=message.include_attempt_count_in_response,
        include_is_timeout_retry_header=message.include_is_timeout_retry_header,
        rate_limits=rate_limits(message.rate_limits),
        mirrors=mirror_policies(message.request_mirror_policies),
        filters=per_filter_configs(message.typed_per_filter_config),
        cors=cors_policy(message.cors) if message.HasField("cors") else None,
        metadata=metadata(message.metadata),
        body_limit=optional(message, "request_body_buffer_limit"),
        old_body_limit=optional(message, "per_request_buffer_limit_bytes"),
    )


def _routes(
    message: pb.route_v3.VirtualHost, max_body: int
) -> tuple[tuple[Route, ...], MatcherTree[tuple[int, ...]] | None]:
    if message.HasField("matcher"):
        return _tree(message, max_body)
    routes = []
    for index, each in enumerate(message.routes):
        try:
            routes.append(route(each, max_body))
        except RefusedError as error:
            raise error.within(f"routes[{index}] {each.name!r}") from error
    return tuple(routes), None


def _tree(
    message: pb.route_v3.VirtualHost, max_body: int
) -> tuple[tuple[Route, ...], MatcherTree[tuple[int, ...]] | None]:
    if message.routes:
        raise RefusedError("cannot set both matcher and routes on virtual host")
    routes: list[Route] = []

    def action(found: pb.xds_core_v3.TypedExtensionConfig) -> tuple[int, ...]:
        opened = extension(found.name, found.typed_config, ROUTE_TREE_ACTIONS)
        own = opened.routes if isinstance(opened, pb.route_v3.RouteList) else [opened]
        first = len(routes)
        for each in own:
            if not isinstance(each, pb.route_v3.Route):
                raise NotUnderstoodError(f"action {found.typed_config.type_url} is not supported")
            routes.append(route(each, max_body))
        return tuple(range(first, len(routes)))

    violation = "requirement violation while creating route match tree: {}".format
    place = Place(
        action,
        HTTP_INPUTS,
        keeps_matching=False,
        refuse_input=only_request_headers,
        violation=violation,
        of_requests=True,
    )
    try:
        tree = matcher_tree(message.matcher, place)
    except NotUnderstoodError as error:
        # Which route the tree would choose is not known, so no request of this host goes anywhere.
        closed = NonForwardingAction(f"virtual host {message.name}: matcher: {error}")
        return (Route(RouteMatch(PathMatcher("prefix", "/")), closed),), None
    return tuple(routes), tree


def _refuse_duplicates(name: str, hosts: tuple[LazyVirtualHost, ...]) -> None:
    # All of them at once first: a table has thousands, and hardly ever one twice.
    domains = list(chain.from_iterable(host.domains for host in hosts))
    folded_all = "\n".join(domains).lower().split("\n")
    if len(domains) == len(folded_all) == len(set(folded_all)):
        return
    seen: set[str] = set()
    for host in hosts:
        for domain in host.domains:
            folded = domain.lower()
            if folded in seen:
                if domain == "*":
                    raise RefusedError(f"Only a single wildcard domain is permitted in route {name}")
                raise RefusedError(
                    f"Only unique values for domains are permitted. Duplicate entry of domain {folded} in route {name}"
                )
            seen.add(folded)
