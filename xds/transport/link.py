"""What a stream looks like to the control thread: bytes in, bytes out, and an end."""

from collections.abc import Callable
from typing import Protocol

from ..model.records import dataclass


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream is over. `status` is grpc's status name, empty for a stream that is not grpc's."""

    reason: str
    status: str = ""
    planned: bool = False
    """The server closed it in good order, as istiod does every half hour: that is no outage."""


class Stream(Protocol):
    """An open stream."""

    def send(self, raw: bytes) -> None:
        """Queue a request; never blocks."""

    def close(self) -> None:
        """End it; `on_end` is not called any more."""


class Link(Protocol):
    """A way to open streams. The callbacks may come from any thread."""

    @property
    def address(self) -> str:
        """For people."""

    def open(self, *, delta: bool, on_bytes: Callable[[bytes], None], on_end: Callable[[Ended], None]) -> Stream:
        """Open a stream; what goes wrong later comes through `on_end`.

        Raises:
            LinkError: it cannot even be tried (an unreadable token or certificate).
        """

    def close(self) -> None:
        """Give up what all streams share."""


class LinkError(Exception):
    """A stream cannot be opened; the text says what to mend, and holds no secret."""
