"""Expressions of CEL as Envoy takes them (envoy source: extensions/filters/common/expr/evaluator.cc).

They are parsed by cel-cpp, which Envoy has too (extra `cel`). Where it is not installed an expression is taken as it
stands, and whoever would evaluate it says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import re2

from ...model.local_reply import Expression
from ..refused import RefusedError
from ..schema import types as pb

if TYPE_CHECKING:
    from google.protobuf.message import Message

MAX_PROGRAM_SIZE = 100
"""regex_max_program_size, of RE2."""

_OPERATORS = (
    *("_?_:_:3", "_&&_:2", "_||_:2", "!_:1", "_==_:2", "_!=_:2", "_<_:2", "_<=_:2", "_>_:2", "_>=_:2"),
    *("_+_:2", "_-_:2", "_*_:2", "_/_:2", "_%_:2", "-_:1", "_[_]:2", "@in:2"),
)
_GLOBAL = (
    *("size:1", "contains:2", "startsWith:2", "endsWith:2", "matches:2", "type:1", "dyn:1"),
    *("int:1", "uint:1", "double:1", "bool:1", "bytes:1", "duration:1", "timestamp:1"),
)
_PARTS_OF_TIMES = (
    *("getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
)
FUNCTIONS = frozenset((*_OPERATORS, *_GLOBAL))
METHODS = frozenset(
    (
        *("size:0", "contains:1", "startsWith:1", "endsWith:1", "matches:1"),
        *(f"{name}:{n}" for name in _PARTS_OF_TIMES for n in (0, 1)),
    )
)
"""By how many arguments they take: CEL's standard functions without conversions to text."""
NAMESPACE = "re"
"""Envoy's functions for parts of texts (re.extract, re.capture, re.captureN)."""


def expression(text: str) -> Expression:
    """An expression that Envoy would take.

    Raises:
        RefusedError: it cannot be parsed, walks through lists, or calls what Envoy's CEL does not have.
    """
    try:
        from cel_expr_python import cel
    except ImportError:
        return Expression(text)
    try:
        parsed = cel.NewEnv().compile(text, disable_check=True).serialize()
    except RuntimeError as error:
        raise RefusedError(f"Not able to parse filter expression: {str(error).splitlines()[0]}") from None
    packed = pb.google_protobuf.Any.FromString(parsed)
    for each in _parts(pb.cel_expr.ParsedExpr.FromString(packed.value).expr):
        _check(each)
    return Expression(text)


def _parts(message: Message) -> Iterator[pb.cel_expr.Expr]:
    if isinstance(message, pb.cel_expr.Expr):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if field.is_repeated else (value,):
                yield from _parts(each)


def _check(part: pb.cel_expr.Expr) -> None:
    match part.WhichOneof("expr_kind"):
        case "comprehension_expr":
            raise RefusedError("failed to create an expression: Comprehension support is disabled")
        case "call_expr":
            _check_call(part.call_expr)


def _check_call(call: pb.cel_expr.Expr.Call) -> None:
    name, arity = call.function, f"{call.function}:{len(call.args)}"
    if call.HasField("target"):
        known = arity in METHODS or call.target.ident_expr.name == NAMESPACE
    else:
        known = arity in FUNCTIONS
    if not known:
        raise RefusedError(f"failed to create an expression: No overload found in reference resolve step for {name}")
    if name == "matches" and call.args[-1].const_expr.WhichOneof("constant_kind") == "string_value":
        _check_pattern(call.args[-1].const_expr.string_value)


def _check_pattern(pattern: str) -> None:
    options = re2.Options()
    options.log_errors = False
    try:
        program = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        said = reason.decode("latin-1") if isinstance(reason, bytes) else str(reason)
        raise RefusedError(f"failed to create an expression: invalid regular expression: {said}") from None
    if program.programsize > MAX_PROGRAM_SIZE:
        raise RefusedError("failed to create an expression: regular expression exceeds max allowed size")
