"""Times between the moments of a request, as far as a process knows them. In milliseconds since it came."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .subject import Subject

Command = Callable[[Subject], "bytes | None"]


def elapsed(subject: Subject) -> bytes:
    """DURATION."""
    return b"%d" % subject.elapsed_ms


def elapsed_of_response(subject: Subject) -> bytes | None:
    """RESPONSE_DURATION: until its head came."""
    found = _head_came(subject)
    return None if found is None else b"%d" % found


def sending(subject: Subject) -> bytes | None:
    """RESPONSE_TX_DURATION: from the head of the endpoint's response to the end of all."""
    headed_ms, over_ms = subject.headed_ms, _over(subject)
    return None if headed_ms is None or over_ms is None else b"%d" % (over_ms - headed_ms)


def _request_came(subject: Subject) -> int | None:
    del subject
    return 0


def _head_came(subject: Subject) -> int | None:
    if subject.headed_ms is not None:
        return subject.headed_ms
    return subject.elapsed_ms if subject.status and not subject.local_status else None


def _over(subject: Subject) -> int | None:
    return subject.elapsed_ms if subject.log_type else None


def _response_over(subject: Subject) -> int | None:
    return None if subject.headed_ms is None else _over(subject)


MOMENTS: Mapping[str, Callable[[Subject], int | None]] = {
    "DS_RX_BEG": _request_came,
    "DS_RX_END": _request_came,
    "US_RX_BEG": _head_came,
    "US_RX_END": _response_over,
    "DS_TX_BEG": lambda subject: subject.headed_ms,
    "DS_TX_END": _over,
}
"""Those that COMMON_DURATION may name."""

SCALES = {"ms": 1, "us": 1000, "ns": 1_000_000}


def between(parameters: str) -> Command | None:
    """COMMON_DURATION; None where it names a moment that nobody knows here."""
    first, last, unit = [*parameters.split(":"), "", ""][:3]
    begins, ends = MOMENTS.get(first), MOMENTS.get(last)
    if begins is None or ends is None or unit not in SCALES:
        return None
    scale = SCALES[unit]

    def command(subject: Subject) -> bytes | None:
        since, until = begins(subject), ends(subject)
        return None if since is None or until is None else b"%d" % ((until - since) * scale)

    return command
