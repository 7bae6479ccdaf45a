"""Records behave as the standard library's frozen dataclasses do, by the first call of a method as by the next."""

import copy
import pickle
from dataclasses import FrozenInstanceError, field, fields, is_dataclass, replace

import pytest

from proxyless.xds.model.records import dataclass


@dataclass(frozen=True, slots=True)
class Empty:
    pass


@dataclass(frozen=True, slots=True)
class Point:
    """A place."""

    x: int
    label: str = "here"
    notes: dict[str, int] = field(default_factory=dict, hash=False)
    secret: str = field(default="s", repr=False)
    seen: int = field(default=0, compare=False)

    @property
    def double(self) -> int:
        return 2 * self.x


@dataclass(frozen=True, slots=True)
class Named(Point):
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.upper())


@dataclass(frozen=True, slots=True)
class Ours:
    x: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ours)

    def __hash__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "ours"


@dataclass(frozen=True, slots=True)
class Equal:
    x: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equal) and other.x == self.x


@dataclass(slots=True)
class Open:
    x: int = 1


def test_what_is_not_given_is_the_default_and_a_factory_makes_one_for_each() -> None:
    for _ in range(2):
        one, other = Point(1), Point(x=1, label="there", seen=3)
        assert (one.x, one.label, one.notes, one.secret, one.seen, one.double) == (1, "here", {}, "s", 0, 2)
        assert (other.label, other.seen) == ("there", 3)
        assert one.notes is not other.notes
    assert Point(1, "a", {"k": 1}).notes == {"k": 1}
    assert Named(1, name="n").name == Named(1, name="n").name == "N"


def test_arguments_that_make_no_sense_are_refused_by_name() -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match=r"Point\.__init__\(\) missing 1 required positional argument: 'x'"):
            Point()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
            Point(1, z=2)  # type: ignore[call-arg]


def test_what_counts_is_compared_and_hashed_and_only_with_the_same_class() -> None:
    for _ in range(2):
        assert Point(1) == Point(1, seen=9)
        assert Point(1) != Point(2)
        assert Point(1) != Point(1, notes={"a": 1})
        assert Point(1) != Named(1)
        assert Point(1).__eq__(1) is NotImplemented
        assert hash(Point(1)) == hash(Point(1, notes={"a": 1}, seen=9)) != hash(Point(2))
        assert Empty() == Empty()
        assert hash(Empty()) == hash(Empty())


def test_what_a_class_says_itself_stands() -> None:
    assert Ours(1) == Ours(2)
    assert (hash(Ours(1)), repr(Ours(1))) == (7, "ours")
    assert Equal(1) == Equal(1)
    assert hash(Equal(1)) == hash(Equal(1))


def test_it_is_shown_without_secrets() -> None:
    assert repr(Point(1, notes={"a": 1})) == "Point(x=1, label='here', notes={'a': 1}, seen=0)"
    assert repr(Empty()) == "Empty()"


def test_nothing_is_set_or_deleted() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x
    with pytest.raises(AttributeError):
        point.other = 2  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        del point.other  # type: ignore[attr-defined]
    assert not hasattr(point, "__dict__")


def test_the_standard_library_takes_them_for_its_own() -> None:
    point = Named(1, name="a")
    assert is_dataclass(point)
    assert [each.name for each in fields(point)] == ["x", "label", "notes", "secret", "seen", "name"]
    assert replace(point, x=2) == Named(2, name="A")
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point
    match Point(1, "a"):
        case Point(x, label):
            assert (x, label) == (1, "a")


def test_what_is_not_frozen_is_left_to_the_standard_library() -> None:
    opened = Open()
    opened.x = 2
    assert opened == Open(2)
