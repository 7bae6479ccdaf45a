"""What people see: the table, the verdict, the lines, the live figures."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from proxyless.demo.checks import Check, Result, document, equal, shown
from proxyless.demo.figures import Figure, figure
from proxyless.demo.reporting import Lines, Screen, call_table, figure_table, line
from proxyless.demo.seen import parse
from proxyless.demo.table import packed, table, verdict

WEIGHTS = "v1: 430 to 525, v2: 75 to 170, v3: 0"
GOOD = Result("weights", "canary weights", (Check("calls by version (99.9999 %)", WEIGHTS, WEIGHTS, ok=True),), 1.0)
BAD = Result("users", "rate limit per user", (equal("alice got 200", 4, 4), equal("others got", {"200": 2}, {})), 0.5)

METRICS = """
proxyless_control_plane_connected 1.0
proxyless_configuration_generation 7.0
istio_requests_total{reporter="source",response_code="200",destination_workload="cart-1"} 40.0
istio_requests_total{reporter="source",response_code="503",destination_workload="cart-2"} 2.0
istio_requests_total{reporter="destination",response_code="200",destination_workload="storefront"} 50.0
proxyless_rate_limited_total{reporter="destination"} 3.0
proxyless_retries_total{cluster="a"} 4.0
proxyless_retries_total{cluster="b"} 1.0
proxyless_cluster_overflows_total{cluster="a",threshold="pending"} 6.0
proxyless_cluster_overflows_total{cluster="a",threshold="retries"} 9.0
proxyless_cluster_active_requests{cluster="a"} 2.0
proxyless_cluster_pending_requests{cluster="a"} 3.0
"""


def drawn(what: RenderableType, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(what)
    return [each.rstrip() for each in out.getvalue().splitlines()]


def test_in_160_columns_each_check_is_a_line() -> None:
    lines = drawn(table([GOOD, BAD], 160), 160)
    assert len(lines) == 6
    assert [each.split("  ")[0] for each in lines] == ["scenario", "canary weights", "", "rate limit per user", "", ""]
    assert lines[2].split() == f"calls by version (99.9999 %) {WEIGHTS} {WEIGHTS} ok".split()
    assert lines[4].split()[-1] == "ok"
    assert lines[5].split() == ["others", "got", "200:", "2", "none", "NO"]


def test_in_80_columns_lists_break_between_their_parts() -> None:
    lines = drawn(table([GOOD], 80), 80)
    assert all(len(each) <= 80 for each in lines)
    assert " ".join(lines[2].split()) == "calls by version (99.9999 %) v1: 430 to 525, v1: 430 to 525, ok"
    assert " ".join(lines[3].split()) == "v2: 75 to 170, v3: 0 v2: 75 to 170, v3: 0"


@pytest.mark.parametrize(
    ("text", "width", "wanted"),
    [
        ("a: 1, b: 2", 10, "a: 1, b: 2"),
        ("a: 1, b: 2", 9, "a: 1,\nb: 2"),
        ("a: 1, b: 2, c: 3", 11, "a: 1, b: 2,\nc: 3"),
        ("longer than that", 4, "longer than that"),
        ("", 4, ""),
    ],
)
def test_lists_are_packed_into_lines(text: str, width: int, wanted: str) -> None:
    assert packed(text, width) == wanted


def test_the_last_line_says_how_it_went() -> None:
    assert verdict([GOOD], 24.6) == "everything as expected: 1 scenario in 25 s"
    assert verdict([GOOD, GOOD], 24.6) == "everything as expected: 2 scenarios in 25 s"
    assert verdict([GOOD, BAD], 9.0) == "expected and seen differ: rate limit per user (9 s)"
    assert verdict([], 0.0) == "nothing was tried"


def test_figures_are_written_for_people() -> None:
    assert shown({"503": 7, "200": 5}) == "200: 5, 503: 7"
    assert (shown({}), shown((10, 6)), shown(4)) == ("none", "10, 6", "4")


def test_the_document_is_good_when_every_check_is() -> None:
    found = document([GOOD], "1.2", 3.21)
    assert (found["ok"], found["differ"], found["seconds"], found["proxyless"]) == (True, [], 3.2, "1.2")
    found = document([GOOD, BAD], "1.2", 3.21)
    assert (found["ok"], found["differ"]) == (False, ["users"])
    assert found["scenarios"][1]["checks"][1] == {
        "what": "others got",
        "expected": "200: 2",
        "seen": "none",
        "ok": False,
    }


@pytest.mark.parametrize("results", [[], [Result("empty", "empty", ())]], ids=["no scenario", "no check"])
def test_nothing_checked_is_nothing_good(results: list[Result]) -> None:
    assert document(results, "1.2", 1.0)["ok"] is False


def test_figures_are_read_from_prometheus_text() -> None:
    assert figure("storefront", parse(METRICS)) == Figure(
        "storefront",
        connected=True,
        generation=7,
        served=47,
        refused=3,
        calls={"cart-1": 40},
        failed=2,
        retries=5,
        overflows=6,
        active=2,
        waiting=3,
    )


def test_live_figures_fit_80_columns_and_say_who_is_away_or_dead() -> None:
    found = [
        figure("storefront", parse(METRICS)),
        Figure("catalog-v1", connected=False, generation=1000, served=100_000),
        Figure("payment"),
    ]
    lines = drawn(figure_table(found), 80)
    assert [each.split() for each in lines[1:]] == [
        ["storefront", "ok", "7", "47", "3", "5", "6", "2", "3"],
        ["catalog-v1", "away", "1000", "100000", "0", "0", "0", "0", "0"],
        ["payment", "dead"],
    ]
    assert drawn(call_table(found), 80) == ["storefront called  cart-1 40"]


def test_in_a_pipe_a_line_says_what_changed_every_few_seconds() -> None:
    out = io.StringIO()
    now = [0.0]
    lines = Lines(Console(file=out, width=160, highlight=False), lambda: now[0])
    first, second = Figure("payment", connected=True, refused=1), Figure("payment", connected=True, refused=2)
    for each in (first, second):
        lines.figures([each])
    now[0] = 10.0
    for each in (first, second):
        lines.figures([each])
    lines.begins("rate limit", "10 orders")
    lines.ended(BAD)
    assert out.getvalue().splitlines() == [
        "  limited 1; connected 1 of 1",
        "  limited 2; connected 1 of 1",
        "rate limit: 10 orders",
        "rate limit per user: NOT AS EXPECTED (0.5 s)",
    ]


def test_the_line_of_figures_sums_what_all_services_say() -> None:
    found = [figure("storefront", parse(METRICS)), figure("checkout", parse(METRICS)), Figure("payment")]
    assert line(found) == "cart-1 80; retries 10; overflows 12; limited 6; waiting 6; connected 2 of 3"


def test_the_screen_keeps_what_is_over_and_draws_what_is_under_way() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, highlight=False, color_system=None)
    with Screen(console) as screen:
        screen.note("starting")
        screen.figures([figure("storefront", parse(METRICS))])
        screen.begins("canary weights", "600 calls")
        screen.ended(GOOD)
        screen.begins("users", "4 each")
    text = out.getvalue()
    assert "starting" in text
    assert "ok  canary weights (1.0 s)" in text
    assert "... users: 4 each" in text
    assert "storefront called  cart-1 40" in text
