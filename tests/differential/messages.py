"""Between istiod's bytes and JSON objects in Envoy's spelling, through the project's own schema and protobuf's JSON."""

from __future__ import annotations

import json
from typing import Any, cast

from google.protobuf import json_format

from proxyless.xds.wire.schema import find, pool
from proxyless.xds.wire.schema import types as pb


def decode(data: bytes) -> tuple[str, list[dict[str, Any]]]:
    """A DiscoveryResponse: the short name of its type, and its resources."""
    response = pb.discovery_v3.DiscoveryResponse.FromString(data)
    resources = []
    for resource in response.resources:
        kind = find(resource.type_url)
        if kind is None:
            raise ValueError(f"no schema for {resource.type_url}")
        message = kind.FromString(resource.value)
        text = json_format.MessageToJson(message, preserving_proto_field_name=True, descriptor_pool=cast("Any", pool()))
        resources.append(json.loads(text))
    return response.type_url.rpartition(".")[2], resources


def encode(kind: str, resources: list[dict[str, Any]], version: str) -> bytes:
    """A DiscoveryResponse of resources in JSON form; the reverse of `decode`. `kind` is the full message name."""
    response = pb.discovery_v3.DiscoveryResponse(
        version_info=version, nonce=version, type_url=f"type.googleapis.com/{kind}"
    )
    made = find(kind)
    if made is None:
        raise ValueError(f"no schema for {kind}")
    for resource in resources:
        message = json_format.ParseDict(resource, made(), descriptor_pool=cast("Any", pool()))
        response.resources.add(type_url=response.type_url, value=message.SerializeToString())
    return response.SerializeToString()
