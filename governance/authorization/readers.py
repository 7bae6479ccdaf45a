"""What an index looks at: readers that take the values of one kind out of a question. Equal readers read the same."""

from __future__ import annotations

from collections.abc import Sequence

from ...xds.model.rbac import Which
from ...xds.model.records import dataclass
from .question import Question
from .values import value_at

SPACE = b"/ns/"


@dataclass(frozen=True, slots=True)
class Names:
    """The peer's names."""

    def __call__(self, question: Question) -> Sequence[bytes]:
        return question.names


@dataclass(frozen=True, slots=True)
class Namespaces:
    """What stands behind any `/ns/` of the peer's names: the namespace of a SPIFFE identity."""

    def __call__(self, question: Question) -> Sequence[bytes]:
        return [part.partition(b"/")[0] for name in question.names for part in _behind(name)]


def _behind(name: bytes) -> list[bytes]:
    found, at = [], name.find(SPACE)
    while at >= 0:
        found.append(name[at + len(SPACE) :])
        at = name.find(SPACE, at + 1)
    return found


@dataclass(frozen=True, slots=True)
class Path:
    """The path without query and fragment."""

    def __call__(self, question: Question) -> Sequence[bytes]:
        return (question.path,)


@dataclass(frozen=True, slots=True)
class Header:
    """All values of a header or pseudo header."""

    name: bytes
    fold: bool = False

    def __call__(self, question: Question) -> Sequence[bytes]:
        values = question.request.values(self.name)
        return [each.lower() for each in values] if self.fold else values


@dataclass(frozen=True, slots=True)
class ServerName:
    """SNI."""

    def __call__(self, question: Question) -> Sequence[bytes]:
        return (question.server_name,)


@dataclass(frozen=True, slots=True)
class Port:
    """The port that the connection was made to."""

    def __call__(self, question: Question) -> Sequence[int]:
        return (question.port,)


@dataclass(frozen=True, slots=True)
class Claim:
    """Text in the metadata of a filter: a value, or those of a list."""

    filter: str
    path: tuple[str, ...]

    def __call__(self, question: Question) -> Sequence[bytes]:
        found = value_at(question.dynamic, self.filter, self.path)
        several = found if isinstance(found, (list, tuple)) else (found,)
        return [each.encode() for each in several if isinstance(each, str)]


@dataclass(frozen=True, slots=True)
class Addresses:
    """An address of the connection."""

    which: Which

    def __call__(self, question: Question) -> Sequence[tuple[int, int]]:
        found = question.address(self.which)
        return () if found is None else (found,)


Texts = Names | Namespaces | Path | Header | ServerName | Claim
Reader = Texts | Port | Addresses
