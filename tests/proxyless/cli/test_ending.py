"""A signal that comes at any moment ends a command; it never stops it for ever."""

from __future__ import annotations

import subprocess
import sys

from proxyless.cli._ending import Ending

IN_THE_MIDDLE = """
import signal
from proxyless.cli._ending import Ending
ending = Ending()
signals = []
def handler(*_):
    signals.append(1)
    ending.set()
    ending.is_set()
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
while len(signals) < 3000:
    ending.wait(0.001)
signal.setitimer(signal.ITIMER_REAL, 0)
print(ending.wait(0))
"""


def test_a_handler_may_come_in_the_middle_of_waiting() -> None:
    done = subprocess.run([sys.executable, "-c", IN_THE_MIDDLE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"


def test_it_stays_said() -> None:
    ending = Ending()
    assert not ending.wait(0.001)
    assert not ending.is_set()
    ending.set()
    assert ending.wait(0.001)
    assert ending.wait(0.001)
    assert ending.is_set()
