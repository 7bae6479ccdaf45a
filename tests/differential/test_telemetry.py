"""Spans and lines of access logs, for the same requests: what Envoy tells, and what we tell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from proxyless.governance.telemetry.opentelemetry import OpenTelemetrySpans
from tests.differential.governed import governed
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording
from tests.differential.requests import Names, Request
from tests.differential.telemetry import (
    DEAD,
    FILTERS,
    FRESH,
    LINES,
    MARK,
    MOMENTS,
    SPAN,
    TRACE,
    Asked,
    Telling,
    asked,
    recording,
)
from tests.support import envoy
from tests.support.backends import Backends
from tests.support.collector import Collector
from tests.support.waiting import wait_for

pytestmark = pytest.mark.envoy

ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Told:
    """What one side tells of all requests, by their marks."""

    spans: Mapping[str, list[Mapping[str, Any]]]
    lines: Mapping[str, Mapping[str, str]]
    """By logger and mark."""
    passed: Mapping[str, list[tuple[str, ...]]]
    """The context that backends got."""


@pytest.fixture(scope="module")
def both(frontend: Recording) -> Iterator[tuple[Told, Told]]:
    """Envoy's and ours."""
    envoy.require()
    with Collector() as collector, Telling(recording(frontend), collector.port) as rig:
        rig.backends.refuse(DEAD)
        yield told_by_both(rig, collector, asked(), rig.backends)


def told_by_both(rig: Telling, collector: Collector, requests: list[Asked], backends: Backends) -> tuple[Told, Told]:
    """What Envoy tells of requests, which ends with that, and what we tell. `backends`: who gets ours."""
    names = Names(rig.recording)
    seen = rig.run([names.sent(each.request) for each in requests], parallel=2)
    passed = {
        each.request.header(MARK) or "": [context_of(a) for a in got.arrivals]
        for each, got in zip(requests, seen, strict=True)
    }
    ours = ask_ours(rig, requests, backends)
    wanted = sum(map(len, ours.spans.values()))
    with suppress(AssertionError):  # what is missing is told by the comparison
        wait_for(lambda: len(collector.spans) >= wanted)
    rig.envoy.end()
    lines = {each: (rig.envoy.folder / each).read_text().splitlines(keepends=True) for each in _loggers()}
    return Told(of_envoy(collector.spans), by_mark(lines), passed), ours


def ask_ours(rig: Telling, requests: list[Asked], backends: Backends) -> Told:
    """The same requests by a governed httpx."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    lines: dict[str, list[str]] = {each: [] for each in _loggers()}
    passed: dict[str, list[tuple[str, ...]]] = {}
    with mesh_on(rig.recording) as mesh, governed(mesh, backends) as client:
        mesh.runtime.spans = OpenTelemetrySpans(provider=provider)
        mesh.runtime.access_log = lambda path, line: lines[path].append(line.decode())
        for each in requests:
            _, arrivals = client.send(_again(each.request))
            passed[each.request.header(MARK) or ""] = [context_of(a) for a in arrivals]
    return Told(of_sdk(exporter.get_finished_spans()), by_mark(lines), passed)


def _again(request: Request) -> Request:
    """By another id, which draws alike: backends count the tries of each."""
    changed = ((k, v[:-4] + "0000" if k == "x-request-id" and ID.fullmatch(v) else v) for k, v in request.headers)
    return replace(request, headers=tuple(changed))


def _loggers() -> list[str]:
    return [*(f"line {each}" for each in LINES), *(f"filter {each}" for each in FILTERS)]


def context_of(arrival: Any) -> tuple[str, ...]:
    """What a request says of its span: whether trace and span are new, its flags; and of what Envoy decided."""
    said = arrival.header("traceparent")
    version, trace, span, flags = [*said.split("-"), "", "", "", ""][:4]
    shape = "trace " + ("given" if trace == TRACE else "new" if len(trace) == 32 else trace)
    return (
        version,
        shape,
        "given" if span == SPAN else "new",
        flags,
        arrival.header("tracestate"),
        masked(arrival.header("x-request-id")),
    )


def masked(text: str) -> str:
    """Ids that are made up become alike, but for what they say of the trace."""
    return ID.sub(r"<id \1>", text)


def of_envoy(spans: Iterable[Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Spans of OTLP in the common words."""
    found = []
    for each in spans:
        attributes = {pair.key: pair.value.string_value for pair in each.attributes}
        kind = Span.SpanKind.Name(each.kind).removeprefix("SPAN_KIND_")
        failed = each.status.code == Status.STATUS_CODE_ERROR
        ids = each.trace_id.hex(), each.span_id.hex(), each.parent_span_id.hex()
        found.append((ids, each.start_time_unix_nano, each.name, kind, failed, attributes))
    return _together(found)


def of_sdk(spans: Iterable[ReadableSpan]) -> dict[str, list[Mapping[str, Any]]]:
    """Those of an SDK."""
    found = []
    for each in spans:
        context, parent = each.get_span_context(), each.parent
        assert context is not None
        ids = f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{parent.span_id:016x}" if parent else ""
        attributes = {key: str(value) for key, value in (each.attributes or {}).items()}
        found.append(
            (ids, each.start_time or 0, each.name, each.kind.name, each.status.status_code.name == "ERROR", attributes)
        )
    return _together(found)


def _together(spans: list[tuple[Any, ...]]) -> dict[str, list[Mapping[str, Any]]]:
    names = {ids[1]: name for ids, _, name, *_ in spans}
    made: dict[str, list[Mapping[str, Any]]] = {}
    for (trace, _, parent), _, name, kind, failed, attributes in sorted(spans, key=lambda each: each[1]):
        said = {key: masked(value) for key, value in attributes.items()}
        if kind == "SERVER" or "upstream_address" not in said:
            said.pop("peer.address", None)  # the rig's own address
        made.setdefault(said.pop("mark", ""), []).append(
            {
                "name": name,
                "kind": kind,
                "failed": failed,
                "trace": "given" if trace == TRACE else "new",
                "parent": "given" if parent == SPAN else names.get(parent, parent),
                **said,
            }
        )
    return made


def by_mark(files: Mapping[str, list[str]]) -> dict[str, dict[str, str]]:
    """The lines of each logger."""
    return {name: {mark_of(line): line for line in lines} for name, lines in files.items()}


def mark_of(line: str) -> str:
    if not line.startswith("{"):
        return line.rstrip("\n").rpartition("mark=")[2]
    found = json.loads(line)
    return str(found.get("mark") or found[f"REQ({MARK})"])


def shape(value: object) -> object:
    """Of what differs from one time to the next."""
    if isinstance(value, int | float):
        return "a number"
    return re.sub("[0-9a-f]+", "0", masked(value)) if isinstance(value, str) else value


ELSEWHERE: Mapping[str, frozenset[str]] = {
    "redirect": frozenset({"PATH(WQ:ORIG)", "REQ(:PATH)", "REQUEST_HEADERS_BYTES"}),
    "no endpoint": frozenset({"REQUEST_HEADERS_BYTES"}),
    "grpc, no endpoint": frozenset({"REQUEST_HEADERS_BYTES"}),
    "refused": frozenset({"RESPONSE_CODE_DETAILS", "UPSTREAM_TRANSPORT_FAILURE_REASON"}),
}
"""Commands that say something else of these requests here (docs/envoy-facts.md, "Access logs")."""
OTHERWISE = ("redirect", "refused")
"""So do whole lines with such commands in them."""


def request_of(mark: str) -> str:
    """Its name in the table."""
    return mark.partition(": ")[2]


def differing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What is told otherwise."""
    return [
        f"{key}: Envoy {theirs.get(key)!r}, proxyless {ours.get(key)!r}"
        for key in sorted({*theirs, *ours})
        if theirs.get(key) != ours.get(key)
    ]


def test_spans_and_their_attributes_are_envoys(both: tuple[Told, Told]) -> None:
    assert sum(map(len, both[0].spans.values())) > 100
    found = differing_spans(*both)
    assert not found, "\n".join(found)


def differing_spans(theirs_told: Told, ours_told: Told) -> list[str]:
    """Where the spans of the two are not alike."""
    theirs, ours = theirs_told.spans, ours_told.spans
    found = []
    for mark in sorted({*theirs, *ours}):
        one, other = theirs.get(mark, []), ours.get(mark, [])
        if len(one) != len(other):
            found.append(f"{mark}: {[each['name'] for each in one]}, {[each['name'] for each in other]}")
            continue
        found += [f"{mark} {line}" for its, own in zip(one, other, strict=True) for line in differing(its, own)]
    return found


def test_backends_are_told_of_them_alike(both: tuple[Told, Told]) -> None:
    theirs, ours = (each.passed for each in both)
    assert not differing(theirs, ours)


@pytest.mark.parametrize("name", LINES)
def test_lines_say_the_same(name: str, both: tuple[Told, Told]) -> None:
    theirs, ours = (each.lines[f"line {name}"] for each in both)
    assert theirs.keys() == ours.keys()
    found = []
    for mark, line in theirs.items():
        asked_for = request_of(mark)
        if name in ("commands", "sparse", "moments"):
            one, other = (
                {key: shape(value) if key in MOMENTS else value for key, value in json.loads(each).items()}
                for each in (line, ours[mark])
            )
            left_out = ELSEWHERE.get(asked_for, frozenset())
            found += [
                f"{mark} {each}" for each in differing(one, other) if each.rpartition(": Envoy")[0] not in left_out
            ]
        elif asked_for not in OTHERWISE:
            one_line, other_line = (shape(each) if name.startswith("text") else each for each in (line, ours[mark]))
            if one_line != other_line:
                found.append(f"{mark}\n  {one_line}  {other_line}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_let_the_same_requests_through(name: str, both: tuple[Told, Told]) -> None:
    theirs, ours = ({*each.lines[f"filter {name}"]} for each in both)
    if name.endswith("share"):  # nobody knows about ids that are none
        theirs, ours = ({each for each in side if request_of(each) not in (FRESH, "no id")} for side in (theirs, ours))
    assert theirs == ours
