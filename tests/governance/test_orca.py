"""Reports of load in response headers, and the weights that follow from them."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.orca import LoadReport, load_report, weight_of
from proxyless.xds.wire.schema import find

NAME, BIN = b"endpoint-load-metrics", b"endpoint-load-metrics-bin"


def message(**fields: Any) -> bytes:
    """xds.data.orca.v3.OrcaLoadReport by protobuf's own hand."""
    kind = find("xds.data.orca.v3.OrcaLoadReport")
    assert kind is not None
    return kind(**fields).SerializeToString()


def encoded(**fields: Any) -> bytes:
    return base64.b64encode(message(**fields))


WHOLE = LoadReport(0.5, 0.25, 0.75, 100.0, 2.0, {"c": 3.0}, {"u": 0.5}, {"rif": 4.0})
SOME = LoadReport(0.5, rps_fractional=100.0, named_metrics={"rif": 4.0})
BY_GO = replace(SOME, eps=2.0)
FIELDS: dict[str, Any] = {
    "cpu_utilization": 0.5,
    "mem_utilization": 0.25,
    "application_utilization": 0.75,
    "rps_fractional": 100.0,
    "eps": 2.0,
    "request_cost": {"c": 3.0},
    "utilization": {"u": 0.5},
    "named_metrics": {"rif": 4.0},
}


@pytest.mark.parametrize(
    ("name", "value", "report"),
    [
        (BIN, encoded(**FIELDS, rps=7), WHOLE),
        (BIN, encoded(**FIELDS).rstrip(b"="), WHOLE),
        (NAME, b"BIN " + encoded(**FIELDS), WHOLE),
        # as a grpc-go server sends it, without padding
        (
            BIN,
            b"CQAAAAAAAOA/MQAAAAAAAFlAOQAAAAAAAABAQg4KA3JpZhEAAAAAAAAQQA",
            BY_GO,
        ),
        (
            NAME,
            b"TEXT cpu_utilization:0.5, rps_fractional:1e2,named_metrics.rif: 4 ,",
            SOME,
        ),
        (NAME, b"TEXT ", LoadReport()),
        (
            NAME,
            b'JSON {"cpu_utilization": 0.5, "rpsFractional": "100", "namedMetrics": {"rif": 4}, "rps": 3}',
            SOME,
        ),
    ],
)
def test_a_report_is_read_in_each_of_its_forms(name: bytes, value: bytes, report: LoadReport) -> None:
    assert load_report([(b"x", b"1"), (name.title(), value)]) == report


def test_the_older_header_comes_first_and_of_several_the_first() -> None:
    text = (NAME, b"TEXT cpu_utilization:0.1")
    assert load_report([text, (BIN, encoded(cpu_utilization=0.5)), (BIN, b"?")]) == LoadReport(0.5)
    assert load_report([text, (NAME, b"TEXT cpu_utilization:0.2")]) == LoadReport(0.1)
    assert load_report([(b"endpoint-load-metricz", b"TEXT eps:1")]) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"cpu_utilization:0.5",
        b"text cpu_utilization:0.5",
        b"TEXT cpu_utilization:",
        b"TEXT cpu_utilization",
        b"TEXT :1",
        b"TEXT cpu_utilization:x",
        b"TEXT cpu_utilization:nan",
        b"TEXT cpu_utilization:1e999",
        b"TEXT cpu_utilization:1_0",
        b"TEXT other:1",
        b"TEXT named_metrics.:1",
        b"TEXT eps:1,eps:2",
        b"TEXT \xff:1",
        b"JSON [1]",
        b"JSON {",
        b'JSON {"other": 1}',
        b'JSON {"eps": true}',
        b'JSON {"eps": null}',
        b'JSON {"named_metrics": 1}',
        b"BIN ",
        b"BIN ????",
        b"BIN " + base64.b64encode(b"\x09\x00"),
        b"BIN " + base64.b64encode(b"\x0b"),
        b"BIN " + base64.b64encode(b"\x80"),
        b"BIN " + base64.b64encode(b"\x80" * 12),
        b"BIN " + base64.b64encode(b"\x01" + bytes(8)),
    ],
)
def test_what_is_not_well_formed_is_no_report(value: bytes) -> None:
    assert load_report([(NAME, value)]) is None


def test_fields_of_other_kinds_are_passed_over() -> None:
    odd = b"\x08\x01" + b"\x0d" + bytes(4) + b"\x20\x01" + b"\x42\x04\x08\x01\x10\x01" + message(eps=2.0)
    assert load_report([(BIN, base64.b64encode(odd))]) == LoadReport(eps=2.0, named_metrics={"": 0.0})


@pytest.mark.parametrize(
    ("report", "metrics", "penalty", "weight"),
    [
        (LoadReport(cpu_utilization=0.5, rps_fractional=100), (), 0.0, 200),
        (LoadReport(cpu_utilization=0.5, application_utilization=0.25, rps_fractional=100), (), 0.0, 400),
        (WHOLE, ("named_metrics.rif", "utilization.u"), 0.0, 25),
        (WHOLE, ("utilization.*",), 0.0, 200),
        (WHOLE, ("request_cost.c", "mem_utilization", "other.x"), 0.0, 33),
        (WHOLE, ("named_metrics.none", "utilization.none"), 0.0, 133),
        (LoadReport(cpu_utilization=0.5, rps_fractional=100, eps=50), (), 1.0, 100),
        (LoadReport(rps_fractional=100, eps=50), (), 1.0, 200),
        (LoadReport(rps_fractional=100), (), 1.0, None),
        (LoadReport(cpu_utilization=0.5), (), 0.0, None),
        (LoadReport(cpu_utilization=0.5, rps_fractional=-1), (), 0.0, None),
        (LoadReport(cpu_utilization=1e-9, rps_fractional=1e9), (), 0.0, 0xFFFFFFFF),
    ],
)
def test_a_weight_is_requests_for_each_part_that_is_used(
    report: LoadReport, metrics: tuple[str, ...], penalty: float, weight: int | None
) -> None:
    assert weight_of(report, metrics, penalty) == weight
