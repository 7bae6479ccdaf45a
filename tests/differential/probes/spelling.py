"""How header names are spelled over HTTP/1.1, as manager and cluster say."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.bootstrap import HCM
from tests.differential.custom import cluster, custom, host, route
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig

KEY = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
PRESERVE = "type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"
PROPER: Resource = {"proper_case_words": {}}


def preserving(**fields: str) -> Resource:
    """The formatter that keeps what came."""
    return {"stateful_formatter": {"name": "preserve_case", "typed_config": {"@type": PRESERVE, **fields}}}


SPELLINGS: dict[str, Resource | None] = {
    "nothing": None,
    "proper": PROPER,
    "preserve": preserving(),
    "preserve, own proper": preserving(formatter_type_on_envoy_headers="PROPER_CASE"),
}
REQUEST = (
    b"GET / HTTP/1.1\r\nHOST: %s\r\nX-fOO: 1\r\nx-foo: 2\r\nfoo$b#$a1x-y.z: 3\r\nX-rEQUEST-id: 4\r\nx-ADDED: 5\r\n\r\n"
)


def options(spelling: Resource) -> Resource:
    """Of a manager or, inside an extension, of a cluster."""
    return {"http_protocol_options": {"header_key_format": spelling}}


def run(base: Recording) -> Iterator[str]:
    """Each line: what the manager says, what the cluster says, the names that arrive and those of the response."""
    clusters, hosts = [], []
    added = {"header": {"key": "X-Added", "value": "r"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    for number, spelling in enumerate(SPELLINGS.values()):
        held = options(spelling) if spelling else {"http_protocol_options": {}}
        extension = {KEY: {"@type": f"type.googleapis.com/{KEY}", "explicit_http_config": held}}
        clusters.append(cluster(f"c{number}", ("127.0.20.1", 80), typed_extension_protocol_options=extension))
        to_it = route({"prefix": "/"}, f"c{number}", request_headers_to_add=[added])
        hosts.append(host(to_it, domains=(f"c{number}",)))
    for manager, spelling in SPELLINGS.items():
        recording = custom(base, hosts, clusters)
        listener = recording.listeners["0.0.0.0_80"]
        for chain in (*listener.get("filter_chains", ()), listener.get("default_filter_chain", {})):
            for each in chain.get("filters", ()):
                if each["name"] == HCM and spelling:
                    each["typed_config"].update(options(spelling))
        with Rig(recording) as rig:
            for number, name in enumerate(SPELLINGS):
                seen = rig.raw(REQUEST % f"c{number}".encode())
                names = " ".join(key for each in seen.arrivals for key, _ in each.headers)
                answered = " ".join(key for key, _ in seen.response.headers)
                yield f"manager {manager}, cluster {name}: {seen.response.status} {names}; response {answered}"
