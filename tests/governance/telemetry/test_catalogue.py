"""docs/metrics.md, the catalogue and the registry say the same."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from proxyless.governance.telemetry.catalogue import BUCKETS, METRICS, REQUEST_LABELS, Metric
from proxyless.governance.telemetry.families import Family

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()


def rows(first: str) -> list[list[str]]:
    """The cells of the table whose header begins with a word."""
    lines = PAGE.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(f"| {first} |"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def row(metric: Metric) -> list[str]:
    names = " ".join(f"`{each}`" for each in metric.labels)
    return [
        f"`{metric.name}`",
        f"gauge ({metric.across})" if metric.kind == "gauge" else metric.kind,
        "the standard labels, below" if metric.labels == REQUEST_LABELS else names,
        metric.unit,
        metric.help,
    ]


def test_the_page_shows_every_metric_as_the_catalogue_has_it() -> None:
    assert rows("metric") == [row(metric) for metric in METRICS]


def test_the_page_explains_every_standard_label_in_order() -> None:
    assert [cells[0] for cells in rows("label")] == [f"`{each}`" for each in REQUEST_LABELS]


def test_the_page_lists_the_buckets() -> None:
    stated = re.search(r"for milliseconds and bytes\s+alike: ([^A-Z]+)\.\n", PAGE)
    assert stated is not None
    assert [float(each) for each in stated[1].split(",")] == list(BUCKETS)


def test_exactly_the_catalogue_is_registered() -> None:
    registry = CollectorRegistry()
    Family.of(registry)
    text = generate_latest(registry).decode()
    described = set(re.findall(r"^# TYPE (\S+) (counter|gauge|histogram)$", text, re.MULTILINE))
    assert described == {(metric.name, metric.kind) for metric in METRICS}


def test_no_name_or_label_is_there_twice() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(len(set(metric.labels)) == len(metric.labels) for metric in METRICS)


def test_our_own_names_are_prefixed_and_counters_end_in_total() -> None:
    for metric in METRICS:
        assert metric.name.startswith(("istio_", "proxyless_"))
        assert metric.name.endswith("_total") == (metric.kind == "counter")
