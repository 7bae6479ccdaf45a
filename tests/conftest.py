"""What holds for the whole test run."""

import sys

import pytest

from proxyless.governance.peer import SERVED


@pytest.fixture(autouse=True)
def nobody_is_served() -> None:
    """A test that shakes hands by itself leaves a connection behind in its context, which is that of all tests."""
    SERVED.set(None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The rooms are linked into the package; under their own names they would collide with other packages."""
    strangers = sorted({name.partition(".")[0] for name in sys.modules} & {"xds", "governance"})
    if strangers:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\ngate: modules imported under a top-level name: {', '.join(strangers)}", file=sys.stderr)
