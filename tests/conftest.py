"""What holds for the whole test run."""

import sys

import pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The rooms are linked into the package; under their own names they would collide with other packages."""
    strangers = sorted({name.partition(".")[0] for name in sys.modules} & {"xds", "governance"})
    if strangers:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\ngate: modules imported under a top-level name: {', '.join(strangers)}", file=sys.stderr)
