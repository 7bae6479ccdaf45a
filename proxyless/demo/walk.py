"""A whole demo: start, walk, tell, and what is left running with `--keep`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from .checks import Check, Result
from .figures import Watch
from .processes import DemoError
from .reporting import Reporter
from .run import Demo
from .scenarios import SCENARIOS, Scenario
from .seen import UnseenError


def walk(demo: Demo, reporter: Reporter, scenarios: Iterable[Scenario] = SCENARIOS) -> list[Result]:
    """The scenarios in order, while the figures are shown.

    Raises:
        DemoError: the shop does not start.
    """
    reporter.note(f"starting the shop: {len(demo.instances)} services, a control plane, a load generator")
    began = time.monotonic()
    demo.start()
    reporter.note(f"everything serves after {time.monotonic() - began:.1f} s")
    watch = Watch(demo.instances, reporter.figures)
    results = []
    try:
        for scenario in scenarios:
            reporter.begins(scenario.title, scenario.expects(demo))
            result = tried(scenario, demo)
            reporter.ended(result)
            results.append(result)
    finally:
        watch.close()
    return results


def tried(scenario: Scenario, demo: Demo) -> Result:
    """One scenario; what it raises is a check that failed."""
    began = time.monotonic()
    checks: list[Check] = []
    try:
        checks.extend(_each(scenario, demo))
    except (UnseenError, DemoError) as error:
        checks.append(Check("the scenario", "comes to an end", str(error), ok=False))
    return Result(scenario.key, scenario.title, tuple(checks), time.monotonic() - began)


def _each(scenario: Scenario, demo: Demo) -> Iterator[Check]:
    yield from scenario.walk(demo)
