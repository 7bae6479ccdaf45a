"""docs/demo.md names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from proxyless.demo.reporting import figure_table
from proxyless.demo.sabotage import SABOTAGES, SABOTAGES_WITH_MTLS
from proxyless.demo.scenarios import SCENARIOS, WITH_MTLS

PAGE = (Path(__file__).parents[3] / "docs" / "demo.md").read_text(encoding="utf-8")


def rows(header: str) -> list[str]:
    """The first cells of the table with that header."""
    table = PAGE.split(f"\n| {header} |", 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip(" `") for line in table.splitlines()[2:]]


def test_every_scenario_has_a_row_in_its_order() -> None:
    assert rows("scenario") == [each.key for each in SCENARIOS]
    assert rows("with `--mtls`") == [each.key for each in WITH_MTLS]


def test_every_sabotage_has_a_row() -> None:
    assert rows("sabotage") == list(SABOTAGES)
    assert rows("sabotage with `--mtls`") == list(SABOTAGES_WITH_MTLS)


def test_every_live_figure_has_its_metric() -> None:
    columns = [str(each.header) for each in figure_table([]).columns]
    named = [name.strip() for row in rows("column") for name in row.split(",")]
    assert [*columns, "called"] == ["service", *named]


def test_every_metric_is_one_that_the_metrics_page_knows() -> None:
    known = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:proxyless|istio)_[a-z_]+)", PAGE))
    assert named
    assert not {name for name in named if name not in known}
