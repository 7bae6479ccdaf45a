"""The log of hosts that go and come: one line for each event."""

import logging

from ..events import Ejected, Event, HealthChanged

log = logging.getLogger("proxyless")


class EventLog:
    """Writes every event at level INFO to the logger `proxyless`."""

    def on_event(self, event: Event) -> None:
        """One line."""
        log.info("%s", describe(event))


def describe(event: Event) -> str:
    """The event in words."""
    where = f"cluster {event.cluster}: {event.address}"
    if isinstance(event, HealthChanged):
        return f"{where} is {event.health}" + (f" ({event.reason})" if event.reason else "")
    if not isinstance(event, Ejected):
        return f"{where} is back after {event.after_s:.1f} s (ejections so far: {event.ejections})"
    why = event.type.lower().replace("_", " ")
    if event.success_rate is not None:
        why += f", success rate {event.success_rate:.1f} %"
    if event.threshold is not None and event.average is not None:
        why += f" below {event.threshold:.1f} %, average {event.average:.1f} %"
    if not event.enforced:
        return f"{where} would be ejected ({why}), which is not enforced"
    return f"{where} is ejected for {event.for_s:.1f} s ({why})"
