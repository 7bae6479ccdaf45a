"""Expressions of CEL in filters of logs: which of them Envoy takes, and what it says of the others."""

from __future__ import annotations

from . import Case, Json
from .build import managed, typed

CEL = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"


def logged(text: str) -> Json:
    """A listener that logs where an expression is true."""
    config = typed(CEL, expression=text)
    log = typed("envoy.extensions.access_loggers.file.v3.FileAccessLog", path="/dev/null")
    extension = {"extension_filter": {"name": "envoy.access_loggers.extension_filters.cel", "typed_config": config}}
    return managed(access_log=[{"name": "x", "typed_config": log, "filter": extension}])


TAKEN = (
    *("response.code >= 400", "nothing.x", "a ? b : c", "request.headers['a']", "1", "'a'+'b'=='a'", "[1]+[2]==[1]"),
    *("type(1) == int", "dyn(1)==1", "bytes('a')", "double(1)", "timestamp(1)", "duration('x')>duration('1s')"),
    *("int('1')", "uint(1)==1u", "bool(1)", "1 in [1]", "{'a':1}.a", "null_type", "-request.size < 0", "!a && b || c"),
    *("size('a')==1", "'a'.size()==1", "contains('a','b')", "'a'.contains('b')", "startsWith('a','b')"),
    *("matches('a','b')", "'a'.matches('b')", "nothing.foo.matches('x')", "request.time.getHours() == 1", "string.x"),
    *("a.getDate()", "a.getDayOfYear('x') == 1", "has(request.headers.a)", "re.extract('a','b','c')"),
    *("re.capture('a','b')=='a'", "re.captureN('a','b')", "google.protobuf.Duration{seconds: 1} == duration('1s')"),
    *("request.path.matches(request.host)",),
)
NO_OVERLOAD = "No overload found in reference resolve step for "
UNKNOWN_CALLS = {
    "foo(1)": "foo",
    "string(1)=='1'": "string",
    "'x'.format([1])": "format",
    "request.x.foo(1)": "foo",
    "'A'.lowerAscii()=='a'": "lowerAscii",
    "math.greatest(1,2)==2": "greatest",
    "optional.of(1)": "of",
    "cel.bind(x,1,x)": "bind",
    "a.b.c(1)": "c",
    "'a'.split('b')": "split",
    "size()": "size",
    "size(1,2,3)": "size",
    "list(1)": "list",
    "'a'.duration()": "duration",
    "'a'.double()": "double",
    "1.int()": "int",
    "getDate(a)": "getDate",
    "captureN('a','b')": "captureN",
    "has(foo(1).x) || [{'a': foo(2)}] == b": "foo",
}
COMPREHENSION = "Comprehension support is disabled"
TOO_LARGE = "regular expression exceeds max allowed size"
CASES = [
    *(Case(f"taken: {each}", logged(each)) for each in TAKEN),
    *(Case(f"unknown: {each}", logged(each), NO_OVERLOAD + name) for each, name in UNKNOWN_CALLS.items()),
    *(Case(f"a walk: {each}", logged(each), COMPREHENSION) for each in ("[1].exists(x, x>1)", "[1].map(x,x)")),
    Case("a walk in a call", logged("size(request.headers.filter(x, x=='')) > 0"), COMPREHENSION),
    Case("nothing", logged(""), "Not able to parse filter expression"),
    Case("half of one", logged("response.code >="), "Not able to parse filter expression"),
    Case("has of no field", logged("has(request)"), "has() argument must be a field selection"),
    Case("a bad pattern", logged("request.url_path.matches('(')"), "invalid regular expression: missing ): ("),
    Case("a large pattern", logged("'x'.matches('a{300}')"), TOO_LARGE),
    Case("a large pattern of a function", logged("matches(request.path, '(a{100}){3}')"), TOO_LARGE),
]
