"""One value of an AuthorizationPolicy as Envoy's matcher.

Each function takes a value (or, where Envoy matches a list at once, all values) and gives a permission or principal.
It raises `UnmatchableError` for what cannot be said: a wrong value, or an HTTP attribute on a TCP chain.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...wire.schema.types import core_v3, match_uri_template_v3, matcher_v3, rbac_v3, route_v3
from . import jwt
from .messages import cidr_range, pack

Permission = rbac_v3.Permission
Principal = rbac_v3.Principal
StringMatcher = matcher_v3.StringMatcher
ValueMatcher = matcher_v3.ValueMatcher
_SPECIAL = frozenset(r"\.+*?()|[]{}^$")


class UnmatchableError(ValueError):
    """There is no matcher for a value."""


def quoted(text: str) -> str:
    """Literal text in RE2 syntax, escaped as Go escapes it."""
    return "".join(f"\\{char}" if char in _SPECIAL else char for char in text)


def regex(pattern: str) -> StringMatcher:
    return StringMatcher(safe_regex=matcher_v3.RegexMatcher(regex=pattern))


def string(value: str, prefix: str = "") -> StringMatcher:
    """`*` is anything but nothing; a leading or trailing `*` is a suffix or prefix match."""
    if value == "*":
        return regex(".+")
    if value.startswith("*"):
        return regex(f"{prefix}.*{quoted(value[1:])}") if prefix else StringMatcher(suffix=value[1:])
    if value.endswith("*"):
        return StringMatcher(prefix=prefix + value[:-1])
    return StringMatcher(exact=prefix + value)


def header(name: str, value: str, *, ignore_case: bool = False) -> route_v3.HeaderMatcher:
    if value == "*":
        return route_v3.HeaderMatcher(name=name, present_match=True)
    match = string(value)
    match.ignore_case = ignore_case
    return route_v3.HeaderMatcher(name=name, string_match=match)


def _cidr(value: str) -> core_v3.CidrRange:
    try:
        return cidr_range(value)
    except ValueError as error:
        raise UnmatchableError(str(error)) from error


# -- permissions ---------------------------------------------------------------------------------------------------


def destination_ip(value: str) -> Permission:
    return Permission(destination_ip=_cidr(value))


def destination_port(value: str) -> Permission:
    if not value.isdecimal() or int(value) > 65535:
        raise UnmatchableError(f"{value} is no port")
    return Permission(destination_port=int(value))


def server_name(value: str) -> Permission:
    return Permission(requested_server_name=string(value))


def host(value: str) -> Permission:
    return Permission(header=header(":authority", value, ignore_case=True))


def method(value: str) -> Permission:
    return Permission(header=header(":method", value))


def path(value: str) -> Permission:
    if "{*}" in value or "{**}" in value:
        template = value.replace("{**}", "**").replace("{*}", "*")
        config = match_uri_template_v3.UriTemplateMatchConfig(path_template=template)
        return Permission(uri_template=core_v3.TypedExtensionConfig(name="uri-template", typed_config=pack(config)))
    return Permission(url_path=matcher_v3.PathMatcher(path=string(value)))


def filter_metadata(key: str, values: Sequence[str]) -> Permission:
    """`experimental.envoy.filters.a.b[c]`: metadata of another filter; a value in brackets is one of a list."""
    name, bracket, field = key.removeprefix("experimental.").removesuffix("]").partition("[")
    if not bracket:
        raise UnmatchableError(f"{key} names no key in brackets")
    matchers = [
        _in_list(ValueMatcher(string_match=string(value.strip("[]"))))
        if value.startswith("[") and value.endswith("]")
        else ValueMatcher(string_match=string(value))
        for value in values
    ]
    return Permission(metadata=_metadata(name, [field], _any_of(matchers)))


# -- principals ----------------------------------------------------------------------------------------------------


def source_ip(value: str) -> Principal:
    return Principal(direct_remote_ip=_cidr(value))


def remote_ip(value: str) -> Principal:
    return Principal(remote_ip=_cidr(value))


def _authenticated(name: StringMatcher) -> Principal:
    return Principal(authenticated=Principal.Authenticated(principal_name=name))


def principal(value: str) -> Principal:
    return _authenticated(string(value, "spiffe://"))


def namespace(value: str) -> Principal:
    inner = ".*".join(quoted(part) for part in value.split("*"))
    return _authenticated(regex(f".*/ns/{inner}/.*"))


def service_account(value: str, own_namespace: str) -> Principal:
    """`name` of the policy's namespace, or `namespace/name`."""
    spaced, slash, name = value.partition("/")
    if not slash:
        spaced, name = own_namespace, value
    return _authenticated(regex(f"spiffe://.+/ns/{quoted(spaced)}/(.+/|)sa/{quoted(name)}(/.+)?"))


def trust_domain(value: str) -> Principal:
    if value == "*":
        return _authenticated(StringMatcher(prefix="spiffe://"))
    before, star, after = value.partition("*")
    if not star:
        return _authenticated(StringMatcher(prefix=f"spiffe://{value}/"))
    return _authenticated(regex(f"spiffe://{quoted(before)}[^/]*{quoted(after)}/.*"))


def request_header(name: str, value: str) -> Principal:
    return Principal(header=header(name, value))


def request_principals(values: Sequence[str]) -> Principal:
    """`issuer/subject` of a token; the last slash divides them, since an issuer may be a URL."""
    made = [_issuer_and_subject(value) for value in values]
    return made[0] if len(made) == 1 else Principal(or_ids=Principal.Set(ids=made))


def _issuer_and_subject(value: str) -> Principal:
    issuer, slash, subject = value.rpartition("/")
    anything = regex(".+")
    wanted_issuer: StringMatcher
    wanted_subject: StringMatcher
    if value == "*":
        wanted_issuer = wanted_subject = anything
    elif value.startswith("*"):
        if slash:
            wanted_issuer = anything if issuer == "*" else StringMatcher(suffix=issuer[1:])
            wanted_subject = StringMatcher(exact=subject)
        else:
            wanted_issuer, wanted_subject = anything, StringMatcher(suffix=value[1:])
    elif value.endswith("*"):
        if slash:
            wanted_issuer = StringMatcher(exact=issuer)
            wanted_subject = anything if subject == "*" else StringMatcher(prefix=subject[:-1])
        else:
            wanted_issuer, wanted_subject = StringMatcher(prefix=value[:-1]), anything
    else:
        wanted_issuer = StringMatcher(exact=issuer if slash else value)
        wanted_subject = StringMatcher(exact=subject if slash else "")
    both = [_claim("iss", wanted_issuer), _claim("sub", wanted_subject)]
    return Principal(and_ids=Principal.Set(ids=both))


def _claim(name: str, match: StringMatcher) -> Principal:
    return Principal(metadata=_metadata(jwt.NAME, [jwt.PAYLOAD, name], ValueMatcher(string_match=match)))


def claims(names: Sequence[str], values: Sequence[str]) -> Principal:
    """A claim, nested ones by their path, that has one of the values or is a list which holds one."""
    match = _any_of([ValueMatcher(string_match=string(value)) for value in values])
    either = ValueMatcher(or_match=matcher_v3.OrMatcher(value_matchers=[_in_list(match), match]))
    return Principal(metadata=_metadata(jwt.NAME, [jwt.PAYLOAD, *names], either))


# -- metadata ------------------------------------------------------------------------------------------------------


def _metadata(name: str, keys: Sequence[str], match: ValueMatcher) -> matcher_v3.MetadataMatcher:
    segments = [matcher_v3.MetadataMatcher.PathSegment(key=key) for key in keys]
    return matcher_v3.MetadataMatcher(filter=name, path=segments, value=match)


def _in_list(match: ValueMatcher) -> ValueMatcher:
    return ValueMatcher(list_match=matcher_v3.ListMatcher(one_of=match))


def _any_of(matchers: Sequence[ValueMatcher]) -> ValueMatcher:
    if len(matchers) == 1:
        return matchers[0]
    return ValueMatcher(or_match=matcher_v3.OrMatcher(value_matchers=matchers))
