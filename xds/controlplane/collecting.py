"""Work that makes many objects and no garbage: the cycle collector waits until it is over.

Reading a folder makes some hundred thousand objects that all stay. The collector looks through them again and again as
their number grows, which is a third of the time, and finds nothing. It is the whole process's, so it is held up only
for as long as the work takes, and only if it ran before.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected(*, lasting: bool = False) -> Iterator[None]:
    """Without the collector of cycles. Where two overlap, the first to end lets it run again.

    `lasting`: what was made counts as old then, or the collector would look through all of it three times as it ages.
    So does what others made a moment ago, and their garbage waits for a whole collection: only for what is done seldom.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            if lasting and not gc.get_freeze_count():  # what somebody else has frozen stays frozen
                gc.freeze()
                gc.unfreeze()  # into the oldest generation
            gc.enable()
