"""The headers that the next hop gets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxyless.xds.model.tracing import Sampling, Tracer, Tracing
from tests.support.traced import B3, NEVER, PARENT, SPAN, TRACE, W3C, spans, told, world

IDS = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}
NAMES = ("traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled")


@pytest.mark.parametrize(
    ("tracer", "sampling", "given", "traced", "expected"),
    [
        (W3C, Sampling(), {"traceparent": f"00-{TRACE}-{SPAN}-00"}, False, {"traceparent": f"00-{TRACE}-*-00"}),
        (W3C, NEVER, {"traceparent": f"00-{TRACE}-{SPAN}-01"}, False, {"traceparent": f"00-{TRACE}-*-00"}),
        (W3C, Sampling(), {"traceparent": "bad"}, None, {"traceparent": "bad"}),
        (
            W3C,
            Sampling(),
            {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
            None,
            {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        ),
        (W3C, Sampling(), {"tracestate": "a=b"}, True, {"traceparent": "00-*-01", "tracestate": ""}),
        (B3, Sampling(), {}, True, {"x-b3-traceid": "*", "x-b3-sampled": "1"}),
        (B3, NEVER, {}, False, {"x-b3-traceid": "*", "x-b3-sampled": "0"}),
        (B3, NEVER, {"x-b3-sampled": "1"}, True, {"x-b3-sampled": "1"}),
        (B3, NEVER, {"x-b3-flags": "1"}, True, {"x-b3-sampled": "1"}),
        (B3, NEVER, {**IDS, "x-b3-sampled": "true"}, True, {"x-b3-traceid": TRACE, "x-b3-parentspanid": SPAN}),
        (B3, Sampling(), {**IDS, "x-b3-sampled": "0"}, False, {"x-b3-parentspanid": SPAN, "x-b3-sampled": "0"}),
        (B3, NEVER, IDS, False, {"x-b3-traceid": TRACE, "x-b3-sampled": "0"}),
        (B3, Sampling(), {**IDS, "x-b3-traceid": TRACE[16:]}, True, {"x-b3-traceid": TRACE[16:]}),
        (B3, Sampling(), {**IDS, "x-b3-traceid": "zz"}, None, {"x-b3-traceid": "zz", "x-b3-spanid": SPAN}),
        (B3, Sampling(), {"b3": f"{TRACE}-{SPAN}-d-{SPAN}"}, True, {"b3": f"{TRACE}-*-1-{SPAN}"}),
        (B3, Sampling(), {"b3": f"{TRACE}-{SPAN}"}, True, {"b3": f"{TRACE}-*-1-{SPAN}"}),
        (B3, Sampling(), {"b3": "0"}, False, {"b3": "*-0"}),
        (B3, NEVER, {"b3": "1"}, True, {"b3": "*-1"}),
        (B3, Sampling(), {"b3": "bad"}, None, {"b3": "bad"}),
        (replace(B3, tracer=Tracer(b3=True, w3c=True)), Sampling(), dict([PARENT]), True, {"x-b3-traceid": TRACE}),
        (replace(B3, tracer=Tracer(b3=True, w3c=True)), Sampling(), {}, True, {"traceparent": "00-*-01"}),
        (replace(B3, tracer=Tracer(b3=True, wide=False)), NEVER, {}, False, {"x-b3-sampled": "0"}),
    ],
)
def test_contexts_are_read_and_written_as_envoy_does(
    tracer: Tracing, sampling: Sampling, given: dict[str, str], traced: bool | None, expected: dict[str, str]
) -> None:
    made = world(replace(tracer, sampling=sampling))
    (found,) = told(made.call(headers=[*given.items()]), *NAMES)
    assert bool(spans(made).made) == bool(traced)
    for name, value in expected.items():
        begin, _, end = value.partition("*")
        assert found[name].startswith(begin), (name, found)
        assert found[name].endswith(end), (name, found)
        assert "*" in value or found[name] == value
    if tracer.tracer is not None and not tracer.tracer.wide:
        assert len(found["x-b3-traceid"]) == 16
