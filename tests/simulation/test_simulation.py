"""What the simulation says holds at smaller sizes and other seeds; each run is as good as the last."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxyless.xds.model.cluster import LbConfig

from . import ejection, spread, storm, zone
from .report import Plot, Report, Series, draw

PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"


@pytest.mark.parametrize("policy", spread.POLICIES[:3], ids=lambda each: each[0])
@pytest.mark.parametrize("seed", [1, 2])
def test_to_many_small_clients_all_policies_are_chance(policy: spread.Policy, seed: int) -> None:
    found = spread.simulate(*policy, clients=200, hosts=1000, each=50, seed=seed)
    assert sum(found.counts) == 200 * 50
    assert 7 <= found.at(0.5) <= 12
    assert 14 <= found.at(0.99) <= 22


def test_a_large_client_spreads_by_turns_better_than_by_chance() -> None:
    turns = spread.simulate(*spread.POLICIES[0], clients=1, hosts=100, each=1000, seed=1)
    chance = spread.simulate(*spread.POLICIES[2], clients=1, hosts=100, each=1000, seed=1)
    assert (turns.counts[0], turns.counts[-1]) == (10, 10)
    assert chance.counts[-1] > 13


def test_a_ring_with_few_entries_is_uneven_and_a_table_is_not() -> None:
    ring = spread.simulate("ring", "RING_HASH", LbConfig(), clients=200, hosts=1000, each=50, seed=1)
    table = spread.simulate("table", "MAGLEV", LbConfig(), clients=200, hosts=1000, each=50, seed=1)
    assert ring.counts[-1] > 30
    assert table.counts[-1] < 30


def test_the_same_seed_is_the_same_run() -> None:
    runs = [spread.simulate(*spread.POLICIES[1], clients=20, hosts=100, each=20, seed=7) for _ in range(2)]
    assert runs[0] == runs[1]


def test_requests_leave_a_failing_zone_in_proportion_and_none_fails() -> None:
    found = zone.simulate(3, clients=300, hosts=600, each=40)
    assert [each.failed for each in found] == [0] * 11
    for each in found:
        assert each.stay == pytest.approx(min(100.0, 1.4 * each.healthy), abs=3.0)
    assert found[-1].other_load == pytest.approx(1.5, abs=0.05)


def test_retries_keep_a_service_down_and_a_budget_of_a_large_client_does_not() -> None:
    none, unlimited, budget = (counts for _, counts in storm.simulate(5, 100.0, 5, seconds=50))
    assert min(storm.share(each, 2, 10) for each in (none, unlimited, budget)) > 95
    assert storm.share(none, 38, 48) > 95
    assert storm.share(unlimited, 38, 48) < 20
    assert storm.share(budget, 38, 48) > 95


def test_a_budget_of_small_clients_is_no_limit() -> None:
    _, unlimited, budget = (counts for _, counts in storm.simulate(300, 1.0, 5, seconds=28))
    assert storm.share(unlimited, 22, 26) < 20
    assert storm.share(budget, 22, 26) < 20


def test_ejection_protects_a_client_that_asks_each_endpoint_often() -> None:
    often = ejection.simulate(100, 1, seconds=60)
    seldom = ejection.simulate(5000, 1, seconds=60)
    assert often.ejections >= 5
    assert often.failing[-1] == 0
    assert seldom.ejections == 0
    assert seldom.failing[-1] == pytest.approx(5.0, abs=1.0)


def test_a_report_is_a_section_with_a_table_and_a_plot() -> None:
    plot = Plot("p", "P", "x", "y", [Series("a", [0.0], [1.0])])
    found = Report("T", "Why?", ("a", "b", "c"), [("x", 1234, 0.5), ("y", 1, 1234.5)], "So.", [plot])
    assert found.markdown().splitlines() == [
        "## T",
        "",
        "Why?",
        "",
        "| a | b | c |",
        "|---|---:|---:|",
        "| x | 1,234 | 0.5 |",
        "| y | 1 | 1,234 |",
        "",
        "So.",
        "",
        "![P](simulation/p.svg)",
    ]


def test_plots_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    plot = Plot("p", "P", "x", "y", [Series("a", [0.0, 1.0], [1.0, 2.0])])
    draw(plot, tmp_path / "one")
    draw(plot, tmp_path / "two")
    assert (tmp_path / "one" / "p.svg").read_bytes() == (tmp_path / "two" / "p.svg").read_bytes()


def test_the_page_has_every_scenario_and_its_plots() -> None:
    page = PAGE.read_text()
    for name in ("spread", "zone", "storm", "ejection"):
        assert f"(simulation/{name}.svg)" in page
        assert (PAGE.parent / "simulation" / f"{name}.svg").exists()
