"""Access logs: what is written of a call, and where."""

from __future__ import annotations

from typing import Any

from ..registry import Effect, effect
from ..resources import MANAGER, TCP_PROXY, Json, Shop, chain, extension, shop, tcp_proxy
from ..scene import Scene
from ..seeing import See

LOG = "envoy.config.accesslog.v3.AccessLog"
FILE = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
STREAM = "envoy.extensions.access_loggers.stream.v3."
FORMAT = ".log_format."
TEXT: Json = {"text_format_source": {"inline_string": "%REQ(:METHOD)%"}}
ABSENT = "%REQ(x-none)%"
ERRORS: Json = {"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 500, "runtime_key": "x"}}}}


def logging(kind: str = FILE, *, filter: Json | None = None, **config: Any) -> list[Json]:  # noqa: A002
    """One access log."""
    own = {"path": "/log", **config} if kind == FILE else config
    return [{**extension(kind, "log", **own), **({"filter": filter} if filter is not None else {})}]


def logged(kind: str = FILE, **config: Any) -> Shop:
    """Calls are logged."""
    return shop(manager_fields={"access_log": logging(kind, **config)})


def lines(*answers: int) -> See:
    """(path, line) of calls that end so, but for lines of Envoy's own format: their length is what is looked at."""

    def look(scene: Scene) -> Any:
        written: list[tuple[str, str]] = []
        scene.world.runtime.access_log = lambda path, line: written.append((path, line.decode()))
        for each in answers or (200,):
            scene.call("http://shop/a", answers=[each], headers=[("x-request-id", "i")])
        return [(path, line if len(line) < 30 else "Envoy's own") for path, line in written]

    return look


OWN = [("/log", "Envoy's own")]
GET = [("/log", "GET")]

CASES: list[Effect] = [
    effect(MANAGER + ".access_log", logged(log_format=TEXT), lines(), GET),
    effect(
        TCP_PROXY + ".access_log",
        shop(chains=[chain(tcp_proxy(access_log=logging(log_format={"text_format": "%ACCESS_LOG_TYPE%"})))]),
        lines(),
        [("/log", "TcpConnectionEnd")],
    ),
    effect(LOG + ".typed_config", logged(log_format=TEXT), lines(), GET, against=shop()),
    effect(LOG + ".filter", logged(log_format=TEXT, filter=ERRORS), lines(200, 503), GET),
    effect(FILE + ".path", logged(log_format=TEXT), lines(), GET, against=logged(path="/other", log_format=TEXT)),
    effect(FILE + ".format", logged(format="%PROTOCOL%"), lines(), [("/log", "HTTP/1.1")]),
    effect(FILE + ".json_format", logged(json_format={"m": "%REQ(:METHOD)%"}), lines(), [("/log", '{"m":"GET"}\n')]),
    effect(
        FILE + ".typed_json_format",
        logged(typed_json_format={"s": "%RESPONSE_CODE%"}),
        lines(),
        [("/log", '{"s":200}\n')],
    ),
    effect(FILE + ".log_format", logged(log_format=TEXT), lines(), GET),
    *(
        effect(STREAM + name + ".log_format", logged(STREAM + name, log_format=TEXT), lines(), [(path, "GET")])
        for name, path in (("StdoutAccessLog", "/dev/stdout"), ("StderrAccessLog", "/dev/stderr"))
    ),
    *(
        case
        for kind, path in (
            (FILE, "/log"),
            (STREAM + "StdoutAccessLog", "/dev/stdout"),
            (STREAM + "StderrAccessLog", "/dev/stderr"),
        )
        for case in (
            effect(
                kind + FORMAT + "text_format",
                logged(kind, log_format={"text_format": "%PROTOCOL%"}),
                lines(),
                [(path, "HTTP/1.1")],
                against=logged(kind),
            ),
            effect(
                kind + FORMAT + "text_format_source",
                logged(kind, log_format=TEXT),
                lines(),
                [(path, "GET")],
                against=logged(kind),
            ),
            effect(
                kind + FORMAT + "json_format",
                logged(kind, log_format={"json_format": {"m": "%REQ(:METHOD)%"}}),
                lines(),
                [(path, '{"m":"GET"}\n')],
                against=logged(kind),
            ),
            effect(
                kind + FORMAT + "omit_empty_values",
                logged(
                    kind, log_format={"text_format_source": {"inline_string": f"a{ABSENT}"}, "omit_empty_values": True}
                ),
                lines(),
                [(path, "a")],
            ),
        )
    ),
]
