"""`@dataclass` of frozen classes with slots, as the standard library's, with methods made when they are first used.

A mesh imports some 260 such classes and uses a part of them. The standard library compiles six functions for each from
text, which was half of the time that an import took; here `__init__`, `__eq__` and `__hash__` are compiled by the first
call, and the others are the same for all. What differs: no order, no keyword-only, init=False or InitVar fields; what
is no field is set by the rules of any object. `fields`, `replace`, `is_dataclass`, pickle and copy work as ever.
"""

from collections.abc import Callable, Iterable
from dataclasses import MISSING, FrozenInstanceError, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses as _standard

    def dataclass(*, frozen: bool = False, slots: bool = False) -> Callable[[type], type]:
        """The standard library's, but for frozen classes with slots."""
        return _record if frozen and slots else _standard.dataclass(frozen=frozen, slots=slots)

    def _record(cls: type) -> type:
        own = {
            name for name, value in vars(cls).items() if value is not None
        }  # a class with __eq__ has __hash__ = None
        if not cls.__doc__:
            cls.__doc__ = cls.__name__  # else it is made of the signature, which takes long
        made = _standard.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
        for name, build in _BUILT.items():
            if name not in own:
                setattr(made, name, _at_first_use(made, name, build))
        for name, shared in _SHARED.items():
            if name not in own:
                setattr(made, name, shared)
        return made


def _at_first_use(cls: type[Any], name: str, build: Callable[[type[Any]], str]) -> Callable[..., Any]:
    def first(self: Any, *args: Any, **named: Any) -> Any:
        made = _compiled(cls, name, build(cls))
        setattr(cls, name, made)
        return made(self, *args, **named)

    first.__name__, first.__qualname__ = name, f"{cls.__qualname__}.{name}"
    return first


def _compiled(cls: type[Any], name: str, text: str) -> Callable[..., Any]:
    known: dict[str, Any] = {"_set": object.__setattr__, "_none": MISSING}
    for each in fields(cls):
        known[f"_default_{each.name}"] = each.default
        known[f"_make_{each.name}"] = each.default_factory
    exec(text, known)  # noqa: S102  # as the standard library does, and of the class's own fields
    made: Callable[..., Any] = known[name]
    made.__module__, made.__qualname__ = cls.__module__, f"{cls.__qualname__}.{name}"
    return made


def _init(cls: type[Any]) -> str:
    given, lines = ["_self"], []
    for each in fields(cls):
        name = value = each.name
        if each.default_factory is not MISSING:
            value = f"_make_{name}() if {name} is _none else {name}"
            given.append(f"{name}=_none")
        elif each.default is not MISSING:
            given.append(f"{name}=_default_{name}")
        else:
            given.append(name)
        lines.append(f"_set(_self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("_self.__post_init__()")
    return f"def __init__({', '.join(given)}):\n " + ("\n ".join(lines) or "pass")


def _eq(cls: type[Any]) -> str:
    names = [each.name for each in fields(cls) if each.compare]
    return (
        "def __eq__(self, other):\n if other.__class__ is self.__class__:\n"
        f"  return {_values('self', names)} == {_values('other', names)}\n return NotImplemented"
    )


def _hash(cls: type[Any]) -> str:
    names = [each.name for each in fields(cls) if (each.compare if each.hash is None else each.hash)]
    return f"def __hash__(self):\n return hash({_values('self', names)})"


def _values(of: str, names: Iterable[str]) -> str:
    return f"({''.join(f'{of}.{name},' for name in names)})"


def _repr(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{self.__class__.__qualname__}({shown})"


def _setattr(self: Any, name: str, value: object) -> None:
    if name in self.__dataclass_fields__:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _delattr(self: Any, name: str) -> None:
    if name in self.__dataclass_fields__:
        raise FrozenInstanceError(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


def _getstate(self: Any) -> list[object]:
    return [getattr(self, each.name) for each in fields(self)]


def _setstate(self: Any, state: list[object]) -> None:
    for each, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)


_BUILT = {"__init__": _init, "__eq__": _eq, "__hash__": _hash}
_SHARED: dict[str, Callable[..., Any]] = {
    "__repr__": _repr,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}
