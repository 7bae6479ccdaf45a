"""The log of hosts that go and come: one line for each event."""

import logging

from ..events import Ejected, Event, ExtensionFailed, HealthChanged, NotEnforced, NotSecured

log = logging.getLogger("proxyless")


MOST_REMEMBERED = 1024


class EventLog:
    """Writes every event to the logger `proxyless`: TLS that failed at level WARNING, what else happens at INFO; what
    shadow mode has told already, at DEBUG. What other packages bring and fails is an ERROR, with its traceback."""

    def __init__(self) -> None:
        self._told: set[NotEnforced] = set()

    def on_event(self, event: Event) -> None:
        """One line."""
        if isinstance(event, ExtensionFailed):
            log.error("%s", describe(event), exc_info=event.error)
            return
        level = logging.WARNING if isinstance(event, NotSecured) else logging.INFO
        if isinstance(event, NotEnforced):
            if event in self._told:
                level = logging.DEBUG
            elif len(self._told) < MOST_REMEMBERED:
                self._told.add(event)
        log.log(level, "%s", describe(event))


def describe(event: Event) -> str:
    """The event in words."""
    if isinstance(event, NotEnforced):
        of = f"a call to {event.cluster}" if event.cluster else "an incoming request"
        return f"shadow mode: {event.policy} would have had its way with {of} ({event.outcome}), which is not enforced"
    if isinstance(event, ExtensionFailed):
        return event.reason
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
