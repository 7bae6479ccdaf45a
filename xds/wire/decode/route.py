"""Routes and their actions (envoy.config.route.v3)."""

from __future__ import annotations

from ...model.matchers import CookieMatcher, PathMatcher, TlsMatcher
from ...model.route import (
    DEFAULT_ROUTE_TIMEOUT_S,
    DirectResponseAction,
    NonForwardingAction,
    RedirectAction,
    Route,
    RouteAction,
    RouteMatch,
    StreamDuration,
    WeightedCluster,
)
from ..refused import NotUnderstoodError, RefusedError
from ..schema import types as pb
from .extensions import CLUSTER_SPECIFIERS, PATH_MATCHERS, PATH_REWRITERS, extension
from .formats import refuse_format
from .http_filters import per_filter_configs
from .http_filters.cors import cors_policy
from .local_reply import body_format
from .matchers import header_matcher, query_matcher, regex, regex_rewrite, string_matcher
from .rate_limits import rate_limits
from .route_policies import hash_policies, internal_redirect, mirror_policies, refuse_unusable, retry_policy
from .templates import template_pattern
from .tracing import route_tracing
from .values import data_source, header_mutations, metadata, named, optional, runtime_fraction, seconds

REDIRECT_STATUSES = (301, 302, 303, 307, 308)
NOT_FOUND_STATUSES = (503, 404, 500)

MAX_BODY = 4096
"""RouteConfiguration.max_direct_response_body_size_bytes when unset."""

NEVER = PathMatcher("prefix", "/")


def route(message: pb.route_v3.Route, max_body: int = MAX_BODY) -> Route:
    """envoy.config.route.v3.Route. `max_body` is the most bytes that a direct response may have."""
    return Route(
        match=route_match(message.match),
        action=_action(message, max_body),
        name=message.name,
        headers=header_mutations(message),
        filters=per_filter_configs(message.typed_per_filter_config),
        decorator=message.decorator.operation if message.HasField("decorator") else None,
        decorator_propagate=not message.decorator.HasField("propagate") or message.decorator.propagate.value,
        tracing=route_tracing(message.tracing) if message.HasField("tracing") else None,
        metadata=metadata(message.metadata),
        body_limit=optional(message, "request_body_buffer_limit"),
        old_body_limit=optional(message, "per_request_buffer_limit_bytes"),
    )


def _action(
    message: pb.route_v3.Route, max_body: int
) -> RouteAction | RedirectAction | DirectResponseAction | NonForwardingAction:
    try:
        match message.WhichOneof("action"):
            case "route":
                return route_action(message.route, message.name, message.match)
            case "redirect":
                return redirect_action(message.redirect)
            case "direct_response":
                return direct_response(message.direct_response, max_body)
            case "non_forwarding_action":
                return NonForwardingAction()
            case other:
                raise NotUnderstoodError(f"{other} is not supported")
    except NotUnderstoodError as error:
        # Requests that the route takes are answered 503: they must not reach a destination that was not meant.
        return NonForwardingAction(str(error))


def route_match(message: pb.route_v3.RouteMatch) -> RouteMatch:
    """envoy.config.route.v3.RouteMatch. A matcher that is not understood makes the route match nothing."""
    try:
        _refuse_metadata(message)
        path = _path(message)
        headers = tuple(header_matcher(each) for each in message.headers)
        query = tuple(query_matcher(each) for each in message.query_parameters)
        cookies = tuple(
            CookieMatcher(each.name, string_matcher(each.string_match), each.invert_match) for each in message.cookies
        )
        never = _never(message)
    except NotUnderstoodError as error:
        return RouteMatch(NEVER, never=str(error))
    return RouteMatch(
        path,
        headers,
        query,
        runtime_fraction(message.runtime_fraction) if message.HasField("runtime_fraction") else None,
        message.HasField("grpc"),
        cookies,
        _tls(message.tls_context) if message.HasField("tls_context") else None,
        never,
    )


def _path(message: pb.route_v3.RouteMatch) -> PathMatcher:
    case_sensitive = not message.HasField("case_sensitive") or message.case_sensitive.value
    match message.WhichOneof("path_specifier"):
        case "prefix":
            return PathMatcher("prefix", message.prefix, case_sensitive)
        case "path":
            return PathMatcher("path", message.path, case_sensitive)
        case "safe_regex":
            return PathMatcher("safe_regex", regex(message.safe_regex))
        case "path_separated_prefix":
            return PathMatcher("path_separated_prefix", message.path_separated_prefix, case_sensitive)
        case "path_match_policy":
            policy = message.path_match_policy
            opened = extension(policy.name, policy.typed_config, PATH_MATCHERS)
            if isinstance(opened, pb.match_uri_template_v3.UriTemplateMatchConfig):
                return PathMatcher("uri_template", template_pattern(opened.path_template))
            raise NotUnderstoodError("path_match_policy is not supported")
        case other:
            raise NotUnderstoodError(f"{other} is not supported")


def _never(message: pb.route_v3.RouteMatch) -> str | None:
    if any(not each.invert for each in message.dynamic_metadata):
        return "dynamic_metadata: nothing has written any before a route is chosen"
    return "filter_state is not supported" if message.filter_state else None


def _tls(message: pb.route_v3.RouteMatch.TlsContextMatchOptions) -> TlsMatcher:
    return TlsMatcher(
        message.presented.value if message.HasField("presented") else None,
        message.validated.value if message.HasField("validated") else None,
    )


def _refuse_metadata(message: pb.route_v3.RouteMatch) -> None:
    """Regular expressions in matchers that are not understood: a bad one is refused all the same."""
    for each in message.dynamic_metadata:
        if each.value.HasField("string_match"):
            string_matcher(each.value.string_match)
    for state in message.filter_state:
        if state.HasField("string_match"):
            string_matcher(state.string_match)


def route_action(
    message: pb.route_v3.RouteAction,
    name: str = "",
    match: pb.route_v3.RouteMatch | None = None,
) -> RouteAction:
    """envoy.config.route.v3.RouteAction of the route of that name and match.

    Raises:
        NotUnderstoodError: a destination or a rewrite that nothing here can work out.
    """
    refuse_unusable(message)
    _refuse_rewrites(message, match)
    timeout_s: float | None = DEFAULT_ROUTE_TIMEOUT_S
    if message.HasField("timeout"):
        timeout_s = seconds(message.timeout) or None
    host = message.WhichOneof("host_rewrite_specifier")
    cluster = message.WhichOneof("cluster_specifier")
    action = RouteAction(
        cluster=message.cluster,
        cluster_header=message.cluster_header,
        weighted_clusters=weighted_clusters(message.weighted_clusters, name) if cluster == "weighted_clusters" else (),
        weights_header=message.weighted_clusters.header_name,
        weights_by_hash=message.weighted_clusters.use_hash_policy.value,
        cluster_not_found_status=named(NOT_FOUND_STATUSES, message.cluster_not_found_response_code),
        metadata_match=metadata(message.metadata_match),
        prefix_rewrite=message.prefix_rewrite or None,
        regex_rewrite=regex_rewrite(message.regex_rewrite) if message.HasField("regex_rewrite") else None,
        path_template=_path_template(message),
        path_format=message.path_rewrite or None,
        host_format=message.host_rewrite if host == "host_rewrite" else None,
        host_rewrite=message.host_rewrite_literal if host == "host_rewrite_literal" else None,
        host_rewrite_header=message.host_rewrite_header if host == "host_rewrite_header" else None,
        host_rewrite_path_regex=(
            regex_rewrite(message.host_rewrite_path_regex) if host == "host_rewrite_path_regex" else None
        ),
        auto_host_rewrite=message.auto_host_rewrite.value,
        append_x_forwarded_host=message.append_x_forwarded_host,
        timeout_s=timeout_s,
        max_grpc_timeout_s=seconds(message.max_grpc_timeout) if message.HasField("max_grpc_timeout") else None,
        grpc_timeout_offset_s=(
            seconds(message.grpc_timeout_offset) or None if message.HasField("grpc_timeout_offset") else None
        ),
        idle_timeout_s=seconds(message.idle_timeout) if message.HasField("idle_timeout") else None,
        hedge_on_per_try_timeout=(
            message.hedge_policy.hedge_on_per_try_timeout if message.HasField("hedge_policy") else None
        ),
        internal_redirect=internal_redirect(message),
        stream_duration=_stream_duration(message) if message.HasField("max_stream_duration") else None,
        retry=retry_policy(message.retry_policy) if message.HasField("retry_policy") else None,
        mirrors=mirror_policies(message.request_mirror_policies),
        cors=cors_policy(message.cors) if message.HasField("cors") else None,
        hash_policies=hash_policies(message.hash_policy),
        rate_limits=rate_limits(message.rate_limits),
        include_vh_rate_limits=message.include_vh_rate_limits.value,
        high_priority=message.priority == 1,
    )
    _refuse_unknown_ways(message, cluster)
    return action


def _refuse_rewrites(message: pb.route_v3.RouteAction, match: pb.route_v3.RouteMatch | None) -> None:
    given = (message.prefix_rewrite, message.path_rewrite)
    own = message.HasField("path_rewrite_policy")
    if sum(map(bool, given)) + message.HasField("regex_rewrite") + own > 1:
        raise RefusedError("Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy")
    by_template = match is not None and match.HasField("path_match_policy")
    if own:
        policy = message.path_rewrite_policy
        extension(policy.name, policy.typed_config, PATH_REWRITERS)
        if match is not None and not by_template:
            rewriter, matcher = next(iter(PATH_REWRITERS.values())), next(iter(PATH_MATCHERS.values()))
            raise RefusedError(f"unable to use {rewriter} extension without {matcher} extension")
    if by_template and message.prefix_rewrite:
        raise RefusedError("Cannot use prefix_rewrite with matcher extension")


def _stream_duration(message: pb.route_v3.RouteAction) -> StreamDuration:
    said = message.max_stream_duration
    return StreamDuration(
        seconds(said.max_stream_duration) if said.HasField("max_stream_duration") else None,
        seconds(said.grpc_timeout_header_max) if said.HasField("grpc_timeout_header_max") else None,
        seconds(said.grpc_timeout_header_offset) if said.HasField("grpc_timeout_header_offset") else None,
    )


def _refuse_unknown_ways(message: pb.route_v3.RouteAction, cluster: str | None) -> None:
    if cluster == "inline_cluster_specifier_plugin":
        plugin = message.inline_cluster_specifier_plugin
        if not plugin.is_optional:
            extension(plugin.extension.name, plugin.extension.typed_config, CLUSTER_SPECIFIERS)
    if cluster in ("cluster_specifier_plugin", "inline_cluster_specifier_plugin"):
        raise NotUnderstoodError(f"{cluster} is not supported")
    refuse_format(message.path_rewrite, "path rewrite")
    refuse_format(message.host_rewrite, "host rewrite")


def _path_template(message: pb.route_v3.RouteAction) -> str | None:
    if not message.HasField("path_rewrite_policy"):
        return None
    policy = message.path_rewrite_policy
    opened = extension(policy.name, policy.typed_config, PATH_REWRITERS)
    if isinstance(opened, pb.rewrite_uri_template_v3.UriTemplateRewriteConfig):
        return opened.path_template_rewrite
    raise NotUnderstoodError("path_rewrite_policy is not supported")


def weighted_clusters(message: pb.route_v3.WeightedCluster, name: str = "") -> tuple[WeightedCluster, ...]:
    """The clusters that have a weight; Envoy refuses a sum of zero and one that does not fit."""
    clusters = tuple(_weighted_cluster(each) for each in message.clusters)
    total = sum(each.weight for each in clusters)
    if total == 0:
        raise RefusedError("Sum of weights in the weighted_cluster must be greater than 0.")
    if total > 0xFFFFFFFF:
        raise RefusedError(f"The sum of weights of all weighted clusters of route {name} exceeds {0xFFFFFFFF}")
    return clusters


def _weighted_cluster(message: pb.route_v3.WeightedCluster.ClusterWeight) -> WeightedCluster:
    if not message.name and not message.cluster_header:
        raise RefusedError("At least one of name or cluster_header need to be specified")
    if message.name and message.cluster_header:
        raise RefusedError("Only one of name or cluster_header can be specified")
    if not message.HasField("weight"):
        raise RefusedError(f"Field 'weight' is missing in: {' '.join(str(message).split())}")
    return WeightedCluster(
        name=message.name,
        weight=message.weight.value,
        cluster_header=message.cluster_header,
        headers=header_mutations(message),
        host_rewrite=message.host_rewrite_literal or None,
        filters=per_filter_configs(message.typed_per_filter_config),
        metadata_match=metadata(message.metadata_match),
    )


def redirect_action(message: pb.route_v3.RedirectAction) -> RedirectAction:
    """envoy.config.route.v3.RedirectAction."""
    path = message.WhichOneof("path_rewrite_specifier")
    if path == "path_rewrite":
        refuse_format(message.path_rewrite, "path_rewrite")
    return RedirectAction(
        status=named(REDIRECT_STATUSES, message.response_code),
        host=message.host_redirect,
        port=message.port_redirect,
        scheme=message.scheme_redirect,
        https=message.https_redirect,
        path=message.path_redirect,
        prefix_rewrite=message.prefix_rewrite if path == "prefix_rewrite" else None,
        regex_rewrite=regex_rewrite(message.regex_rewrite) if path == "regex_rewrite" else None,
        path_format=message.path_rewrite if path == "path_rewrite" else None,
        strip_query=message.strip_query,
    )


def direct_response(message: pb.route_v3.DirectResponseAction, max_body: int = MAX_BODY) -> DirectResponseAction:
    """envoy.config.route.v3.DirectResponseAction.

    Raises:
        NotUnderstoodError: a body that lies in a file.
    """
    made = body_format(message.body_format) if message.HasField("body_format") else None
    body = data_source(message.body)
    if len(body) > max_body:
        raise RefusedError(f"response body size is {len(body)} bytes; maximum is {max_body}")
    return DirectResponseAction(message.status, body, made)
