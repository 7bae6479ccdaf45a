"""The log of hosts that go and come: one line for each event."""

import logging

from ..events import Ejected, Event, HealthChanged, NotSecured

log = logging.getLogger("proxyless")


class EventLog:
    """Writes every event to the logger `proxyless`: TLS that failed at level WARNING, what else happens at INFO."""

    def on_event(self, event: Event) -> None:
        """One line."""
        log.log(logging.WARNING if isinstance(event, NotSecured) else logging.INFO, "%s", describe(event))


def describe(event: Event) -> str:
    """The event in words."""
    where = f"cluster {event.cluster}: {event.address}"
    if isinstance(event, HealthChanged):
        return f"{where} is {event.health}" + (f" ({event.reason})" if event.reason else "")
    if isinstance(event, NotSecured):
        return f"{where}: TLS failed, no request goes there: {event.reason}"
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
