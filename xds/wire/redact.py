"""Secrets out of what people read: private keys, passwords, tokens, and the private members of JWKs.

A field is secret by its name (`private_key`, `access_token` ...), a header, map entry or member of a Struct by its key,
and any text by what it holds (a PEM private key, a JWK). What is secret is replaced, not removed: that it is set stays
visible. `REDACTED` stands in its place.
"""

from __future__ import annotations

import json
import re
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from .schema import find

REDACTED = "[redacted]"

SECRET = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|private_key|secret|secrets|token|json_key|api_key|access_key|secret_key|pkcs12"
    r"|credential|credentials)$"
)
"""Names of what is secret, lower case with underscores; only the last words count, so a `token_bucket` is none."""

SECRET_HEADER = re.compile(r"(?:^|_)(?:authorization|cookie)$")
"""Names whose *text* is secret; a message of this name says how something is done."""

JWK_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a JSON Web Key that must stay private (RFC 7518, section 6)."""

PEM_MARK = "PRIVATE KEY-----"

KEYED = {
    "envoy.config.core.v3.HeaderValue": ("key", ("value", "raw_value")),
    "envoy.config.core.v3.QueryParameter": ("key", ("value",)),
    "envoy.config.route.v3.HeaderMatcher": ("name", ("exact_match", "prefix_match", "suffix_match", "contains_match")),
}
"""Messages that are a name and a value."""

WHOLLY_SECRET = frozenset(
    {
        "envoy.extensions.transport_sockets.tls.v3.GenericSecret",
        "envoy.extensions.transport_sockets.tls.v3.TlsSessionTicketKeys",
    }
)

REFERENCE = "envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig"
"""Says where a secret comes from."""

DATA_SOURCE = "envoy.config.core.v3.DataSource"
INLINE = frozenset({"inline_string", "inline_bytes"})

TEXT_TYPES = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def redact(message: Message) -> None:
    """Replace what is secret in a message, at any depth and inside every Any whose type is known. In place."""
    _walk(message, secret=False)


def is_secret(name: str, *, text: bool = False) -> bool:
    """Whether what has this name is a secret: `privateKey`, `x-api-key` and `client_secret` are.

    `text`: what has the name is the value itself, as of a header: then `cookie` is secret too.
    """
    spelled = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    return SECRET.search(spelled) is not None or (text and SECRET_HEADER.search(spelled) is not None)


def redacted_text(text: str) -> str:
    """A text without private keys; JSON without secret members."""
    if PEM_MARK in text:
        return REDACTED
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        document = json.loads(text)
    except ValueError:
        return text
    clean = redacted_json(document)
    return text if clean == document else json.dumps(clean)


def redacted_json(value: Any, *, secret: bool = False) -> Any:
    """A JSON value without secrets."""
    if isinstance(value, dict):
        private = JWK_PRIVATE if "kty" in value else frozenset()
        return {
            key: REDACTED if key in private else redacted_json(item, secret=secret or _hides(key, item))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redacted_json(item, secret=secret) for item in value]
    if isinstance(value, str):
        return REDACTED if secret and value else redacted_text(value)
    return value


def _hides(key: str, item: object) -> bool:
    return is_secret(key, text=isinstance(item, str))


def _walk(message: Message, *, secret: bool) -> None:
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Any":
        _any(message, secret=secret)
        return
    if name == "google.protobuf.Struct":
        _struct(message, secret=secret)
        return
    secret = (secret and name != REFERENCE) or name in WHOLLY_SECRET
    for field, value in message.ListFields():
        if name == DATA_SOURCE and field.name not in INLINE:
            continue
        _field(message, field, value, secret=secret or is_secret(field.name))
    if name in KEYED:
        key, values = KEYED[name]
        if is_secret(getattr(message, key), text=True):
            for each in values:
                if getattr(message, each, None):
                    setattr(message, each, _replacement(getattr(message, each)))
            if name.endswith("HeaderMatcher") and message.HasField("string_match"):
                _walk(message.string_match, secret=True)  # type: ignore[attr-defined]


def _field(message: Message, field: FieldDescriptor, value: Any, *, secret: bool) -> None:
    if isinstance(value, Message):
        _walk(value, secret=secret)
    elif hasattr(value, "items"):
        for key, item in value.items():
            hidden = secret or is_secret(str(key), text=not isinstance(item, Message))
            if isinstance(item, Message):
                _walk(item, secret=hidden)
            elif isinstance(item, str | bytes):
                value[key] = _clean(item, secret=hidden)
    elif field.message_type is not None:
        for item in value:
            _walk(item, secret=secret)
    elif field.type in TEXT_TYPES:
        if isinstance(value, str | bytes):
            setattr(message, field.name, _clean(value, secret=secret))
        else:
            value[:] = [_clean(item, secret=secret) for item in value]


def _clean(value: str | bytes, *, secret: bool) -> str | bytes:
    if secret:
        return _replacement(value)
    if isinstance(value, str):
        return redacted_text(value)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value
    clean = redacted_text(text)
    return value if clean is text else clean.encode()


def _replacement(value: str | bytes) -> str | bytes:
    return REDACTED if isinstance(value, str) else REDACTED.encode()


def _any(packed: Any, *, secret: bool) -> None:
    kind = find(packed.type_url)
    if kind is None:
        return
    try:
        inner = kind.FromString(packed.value)
    except DecodeError:
        return
    _walk(inner, secret=secret)
    packed.value = inner.SerializeToString(deterministic=True)


def _struct(struct: Any, *, secret: bool) -> None:
    private = JWK_PRIVATE if "kty" in struct.fields else frozenset()
    for key, value in struct.fields.items():
        text = value.WhichOneof("kind") == "string_value"
        _value(value, secret=secret or key in private or is_secret(key, text=text))


def _value(value: Any, *, secret: bool) -> None:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        value.string_value = _clean(value.string_value, secret=secret)
    elif kind == "struct_value":
        _struct(value.struct_value, secret=secret)
    elif kind == "list_value":
        for each in value.list_value.values:
            _value(each, secret=secret)
