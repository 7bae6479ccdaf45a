"""What is meant to hold, read from the YAML that this package ships: all that the walk expects comes from here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

import yaml

Document = dict[str, Any]

LIMIT_TYPE = "envoy.filters.http.local_ratelimit"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: full at first."""

    tokens: int
    per_second: float

    def passes(self, calls: int, seconds: float) -> tuple[int, int]:
        """The fewest and the most of `calls` that may pass within so many seconds."""
        return min(calls, self.tokens), min(calls, self.tokens + int(self.per_second * seconds))


def shipped(*, mtls: bool = False) -> dict[str, str]:
    """The files of `istio/`, by name, and with `mtls` those of `mtls/`."""
    folders = [files(__package__).joinpath(each) for each in ("istio", *(["mtls"] if mtls else []))]
    found = [each for folder in folders for each in folder.iterdir()]
    return {each.name: each.read_text(encoding="utf-8") for each in found if each.name.endswith(".yaml")}


class Intended:
    """The shipped configuration as figures."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self.texts = dict(texts if texts is not None else shipped())

    def _spec(self, file: str, kind: str) -> Document:
        return next(_of_kind(self.texts[file], kind))["spec"]  # type: ignore[no-any-return]

    @cached_property
    def weights(self) -> dict[str, int]:
        """Of the versions of catalog."""
        routes = self._spec("catalog.yaml", "VirtualService")["http"]
        canary = next(route for route in routes if route["name"] == "canary")
        return {each["destination"]["subset"]: each["weight"] for each in canary["route"]}

    @cached_property
    def group(self) -> tuple[str, str, str]:
        """(header, value, version that it leads to)."""
        route = self._spec("catalog.yaml", "VirtualService")["http"][0]
        ((header, match),) = route["match"][0]["headers"].items()
        return header, match["exact"], route["route"][0]["destination"]["subset"]

    @cached_property
    def breaker(self) -> tuple[int, int]:
        """(connections, waiting calls) that checkout may have."""
        pool = self._spec("checkout.yaml", "DestinationRule")["trafficPolicy"]["connectionPool"]
        return pool["tcp"]["maxConnections"], pool["http"]["http1MaxPendingRequests"]

    @cached_property
    def payments(self) -> Bucket:
        """Of payment, for everybody."""
        return _bucket(self._limit("payment.yaml", 0)["typed_config"])

    @cached_property
    def payment_header(self) -> str:
        """What payment adds to a refusal."""
        added = self._limit("payment.yaml", 0)["typed_config"]["response_headers_to_add"]
        return str(added[0]["header"]["key"])

    @cached_property
    def users(self) -> Bucket:
        """Of the storefront, for each user."""
        return _bucket(self._limit("storefront.yaml", 1)["typed_per_filter_config"][LIMIT_TYPE]["descriptors"][0])

    @cached_property
    def user_header(self) -> str:
        """By which users are told apart."""
        actions = self._limit("storefront.yaml", 1)["route"]["rate_limits"][0]["actions"]
        return str(actions[0]["request_headers"]["header_name"])

    @cached_property
    def callers(self) -> dict[str, tuple[str, ...]]:
        """Who may call each app, by service account."""
        return {
            policy["metadata"]["name"]: tuple(
                principal.rpartition("/")[2]
                for rule in policy["spec"]["rules"]
                for each in rule["from"]
                for principal in each["source"]["principals"]
            )
            for policy in _of_kind(self.texts["access.yaml"], "AuthorizationPolicy")
        }

    def _limit(self, file: str, patch: int) -> Document:
        return self._spec(file, "EnvoyFilter")["configPatches"][patch]["patch"]["value"]  # type: ignore[no-any-return]


def _of_kind(text: str, kind: str) -> Iterator[Document]:
    return (each for each in yaml.safe_load_all(text) if each["kind"] == kind)


def _bucket(holder: Document) -> Bucket:
    bucket = holder["token_bucket"]
    return Bucket(bucket["max_tokens"], bucket["tokens_per_fill"] / float(bucket["fill_interval"].rstrip("s")))
