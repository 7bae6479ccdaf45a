"""Authorization (envoy.config.rbac.v3), as filters of requests and of connections have it.

What is not understood makes the whole filter so: a condition that is left out could let somebody in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ...model.matchers import StringMatcher
from ...model.rbac import (
    Action,
    AllOf,
    AnyOf,
    Anything,
    AnyValue,
    Authenticated,
    Condition,
    Engine,
    InList,
    IsBool,
    IsNull,
    IsNumber,
    IsPresent,
    MutuallyAuthenticated,
    Negated,
    Policy,
    Rules,
    ValueMatcher,
    Verdict,
    Which,
    WithAddress,
    WithFilterState,
    WithHeader,
    WithMetadata,
    WithPath,
    WithPort,
    WithServerName,
    WithTemplate,
)
from ...model.tls import SanMatcher
from ..refused import NotUnderstoodError, RefusedError
from ..schema import types as pb
from .extensions import PATH_MATCHERS, RBAC_MATCHERS, RBAC_PRINCIPALS, RBAC_TREE_ACTIONS, extension
from .matchers import header_matcher, string_matcher
from .templates import template_pattern
from .trees import Place, matcher_tree
from .values import cidrs, named, xds_cidrs

ACTIONS: tuple[Action, ...] = ("ALLOW", "DENY", "LOG")
ROUTE = 1
"""MetadataSource.ROUTE."""

San = Literal["", "EMAIL", "DNS", "URI", "IP_ADDRESS", "OTHER_NAME"]
SANS: tuple[San, ...] = ("", "EMAIL", "DNS", "URI", "IP_ADDRESS", "OTHER_NAME")


def engines(
    message: pb.http_rbac_v3.RBAC | pb.network_rbac_v3.RBAC, place: Place[Verdict]
) -> tuple[Engine | None, Engine | None]:
    """What is enforced and what is only tried. A tree comes before rules.

    Raises:
        NotUnderstoodError: a condition, an input or a matcher that nothing here understands.
    """
    enforced: Engine | None = None
    shadow: Engine | None = None
    if message.HasField("matcher"):
        enforced = matcher_tree(message.matcher, place)
    elif message.HasField("rules"):
        enforced = rules(message.rules)
    if message.HasField("shadow_matcher"):
        shadow = matcher_tree(message.shadow_matcher, place)
    elif message.HasField("shadow_rules"):
        shadow = rules(message.shadow_rules)
    return enforced, shadow


def rules(message: pb.rbac_v3.RBAC) -> Rules:
    """envoy.config.rbac.v3.RBAC."""
    by_name = sorted(message.policies.items(), key=lambda each: each[0].encode())
    return Rules(named(ACTIONS, message.action), tuple((name, _policy(policy)) for name, policy in by_name))


def verdict(message: pb.xds_core_v3.TypedExtensionConfig) -> Verdict:
    """The action at the end of a tree."""
    opened = extension(message.name, message.typed_config, RBAC_TREE_ACTIONS)
    if not isinstance(opened, pb.rbac_v3.Action):
        raise NotUnderstoodError(f"action {message.name} is not supported")
    return Verdict(opened.name, named(ACTIONS, opened.action))


def _policy(message: pb.rbac_v3.Policy) -> Policy:
    if message.HasField("condition") or message.HasField("checked_condition"):
        raise NotUnderstoodError("conditions in CEL are not supported")
    return Policy(_permissions(message.permissions), _principals(message.principals))


def _permissions(messages: Iterable[pb.rbac_v3.Permission]) -> tuple[Condition, ...]:
    return tuple(_permission(each) for each in messages)


def _principals(messages: Iterable[pb.rbac_v3.Principal]) -> tuple[Condition, ...]:
    return tuple(_principal(each) for each in messages)


def _permission(message: pb.rbac_v3.Permission) -> Condition:
    match message.WhichOneof("rule"):
        case "and_rules":
            return AllOf(_permissions(message.and_rules.rules))
        case "or_rules":
            return AnyOf(_permissions(message.or_rules.rules))
        case "not_rule":
            return Negated(_permission(message.not_rule))
        case "header":
            return WithHeader(header_matcher(message.header))
        case "url_path":
            return WithPath(string_matcher(message.url_path.path))
        case "uri_template":
            return _template(message.uri_template)
        case "destination_ip":
            return _address("destination", message.destination_ip)
        case "destination_port":
            return WithPort(message.destination_port, message.destination_port + 1)
        case "destination_port_range":
            return _ports(message.destination_port_range)
        case "requested_server_name":
            return WithServerName(string_matcher(message.requested_server_name))
        case "metadata":
            return metadata_condition(message.metadata)
        case "sourced_metadata":
            return _sourced(message.sourced_metadata)
        case "matcher":
            raise _matcher(message.matcher)
        case _:
            return Anything()


def _principal(message: pb.rbac_v3.Principal) -> Condition:
    match message.WhichOneof("identifier"):
        case "and_ids":
            return AllOf(_principals(message.and_ids.ids))
        case "or_ids":
            return AnyOf(_principals(message.or_ids.ids))
        case "not_id":
            return Negated(_principal(message.not_id))
        case "authenticated":
            own = message.authenticated
            return Authenticated(string_matcher(own.principal_name) if own.HasField("principal_name") else None)
        case "source_ip":
            return _address("source", message.source_ip)
        case "direct_remote_ip":
            return _address("direct_remote", message.direct_remote_ip)
        case "remote_ip":
            return _address("remote", message.remote_ip)
        case "header":
            return WithHeader(header_matcher(message.header))
        case "url_path":
            return WithPath(string_matcher(message.url_path.path))
        case "metadata":
            return metadata_condition(message.metadata)
        case "sourced_metadata":
            return _sourced(message.sourced_metadata)
        case "filter_state":
            return _filter_state(message.filter_state)
        case "custom":
            return _custom(message.custom)
        case _:
            return Anything()


def _address(which: Which, message: pb.core_v3.CidrRange) -> WithAddress:
    try:
        return WithAddress(which, *cidrs((message,)))
    except RefusedError as error:
        raise RefusedError(f"Failed to create CIDR range: {error}") from None


def _matcher(message: pb.core_v3.TypedExtensionConfig) -> Exception:
    opened = extension(message.name, message.typed_config, RBAC_MATCHERS)
    if opened is not None and not opened.ListFields():
        return RefusedError(
            "Invalid UpstreamIpPortMatcher configuration - missing `upstream_ip` and/or `upstream_port_range`"
        )
    return NotUnderstoodError(f"matcher {message.name} is not supported")


def _template(message: pb.core_v3.TypedExtensionConfig) -> WithTemplate:
    opened = extension(message.name, message.typed_config, PATH_MATCHERS)
    if isinstance(opened, pb.match_uri_template_v3.UriTemplateMatchConfig):
        return WithTemplate(template_pattern(opened.path_template))
    raise NotUnderstoodError(f"uri_template {message.name} is not supported")


def _ports(message: pb.type_v3.Int32Range) -> WithPort:
    for which, value in (("start", message.start), ("end", message.end)):
        if not 0 <= value <= 65536:
            raise RefusedError(f"range {which} {value} is out of bounds")
    if message.start >= message.end:
        raise RefusedError(f"range start {message.start} cannot be greater or equal than range end {message.end}")
    return WithPort(message.start, message.end)


def _sourced(message: pb.rbac_v3.SourcedMetadata) -> WithMetadata:
    return metadata_condition(message.metadata_matcher, of_route=message.metadata_source == ROUTE)


def metadata_condition(message: pb.matcher_v3.MetadataMatcher, *, of_route: bool = False) -> WithMetadata:
    """envoy.type.matcher.v3.MetadataMatcher."""
    path = tuple(each.key for each in message.path)
    return WithMetadata(message.filter, path, _value(message.value), message.invert, of_route)


def _value(message: pb.matcher_v3.ValueMatcher) -> ValueMatcher:
    match message.WhichOneof("match_pattern"):
        case "null_match":
            return IsNull()
        case "double_match":
            own = message.double_match
            if own.WhichOneof("match_pattern") == "range":
                return IsNumber(own.range.start, own.range.end)
            return IsNumber(own.exact)
        case "string_match":
            return string_matcher(message.string_match)
        case "bool_match":
            return IsBool(message.bool_match)
        case "list_match":
            return InList(_value(message.list_match.one_of))
        case "or_match":
            return AnyValue(tuple(_value(each) for each in message.or_match.value_matchers))
        case _:
            return IsPresent(message.present_match)


def _filter_state(message: pb.matcher_v3.FilterStateMatcher) -> WithFilterState:
    if message.HasField("string_match"):
        string_matcher(message.string_match)  # what Envoy refuses is refused
    else:
        xds_cidrs(message.address_match.ranges)
    return WithFilterState(message.key)


def _custom(message: pb.core_v3.TypedExtensionConfig) -> MutuallyAuthenticated:
    opened = extension(message.name, message.typed_config, RBAC_PRINCIPALS)
    if not isinstance(opened, pb.mtls_authenticated_v3.Config):
        raise NotUnderstoodError(f"principal {message.name} is not supported")
    if opened.HasField("san_matcher"):
        return MutuallyAuthenticated(_san(opened.san_matcher))
    if not opened.any_validated_client_certificate:
        raise RefusedError(
            "envoy.rbac.principals.mtls_authenticated did not have any configured validation. "
            "At least one configuration field must be set."
        )
    return MutuallyAuthenticated()


def _san(message: pb.tls_v3.SubjectAltNameMatcher) -> SanMatcher:
    kind = named(SANS, message.san_type)
    if kind not in ("DNS", "URI"):
        raise NotUnderstoodError(f"names of type {kind or 'unspecified'} are not known of a peer")
    matcher: StringMatcher = string_matcher(message.matcher)
    return SanMatcher(matcher.kind, matcher.value, kind, matcher.ignore_case)
