"""Data moves left to right and never back: which room may import which, checked over the import AST."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Room -> what it may import of ours (beside itself) and of others' (beside the standard library); the longest wins.
OURS: dict[str, tuple[str, ...]] = {
    "xds": (),
    "xds.model": (),
    "xds.wire.schema": (),
    "xds.wire": ("xds.model", "xds.protocol.events"),
    "xds.protocol": ("xds.model",),
    "xds.graph": ("xds.model", "xds.protocol.events"),
    "xds.identity": ("xds.model", "xds.wire", "xds.transport.backoff"),
    "xds.transport": ("xds.model", "xds.protocol", "xds.wire", "xds.graph", "xds.identity"),
    "xds.controlplane": ("xds.wire.schema", "xds.model.own_channels"),
    "governance": ("xds.model",),
    "governance.services": ("governance", "xds.model", "xds.wire"),
    "governance.suites": ("governance", "xds.model"),
    "governance.telemetry": ("governance", "xds.model"),
    "proxyless": ("proxyless", "xds", "governance"),
}
OTHERS: dict[str, tuple[str, ...]] = {
    "xds": (),
    "xds.model": (),
    "xds.wire": ("google.protobuf", "re2"),
    "xds.wire.decode.expressions": ("cel_expr_python", "google.protobuf", "re2"),
    "xds.protocol": (),
    "xds.graph": (),
    "xds.identity": ("yaml", "grpc", "cryptography", "re2"),
    "xds.transport": ("grpc", "gevent"),
    "xds.transport.resolver": ("dns",),
    "xds.controlplane": ("yaml", "watchfiles", "grpc", "google.protobuf", "re2"),
    "xds.controlplane.apiserver": ("kubernetes", "urllib3"),
    "xds.controlplane.authority": ("yaml", "google.protobuf", "cryptography"),
    "xds.controlplane.authority.kubernetes": ("kubernetes",),
    "governance": ("re2", "xxhash"),
    "governance.expressions": ("cel_expr_python", "google.protobuf"),
    "governance.tokens._jose": ("jwt", "cryptography"),
    "governance.services": ("h2",),
    "governance.services.load_reports": ("grpc",),
    "governance.suites": (),
    "governance.suites._aiohttp": ("aiohttp", "multidict", "yarl"),
    "governance.suites._aiohttp.http2": ("aiohttp", "h2"),
    "governance.suites._h11": ("h11",),
    "governance.suites.grpc_server": ("grpc",),
    "governance.suites.grpc_aio_server": ("grpc",),
    "governance.suites._http1": ("httpcore", "httptools"),
    "governance.suites._http1_httpx": ("anyio",),
    "governance.suites._message": ("httpcore",),
    "governance.suites._urllib3_dialling": ("urllib3", "httpcore"),
    "governance.suites._urllib3_lease": ("urllib3",),
    "governance.suites._urllib3_request": ("urllib3",),
    "governance.suites._urllib3_response": ("urllib3", "httpcore"),
    "governance.suites.grpc": ("grpc",),
    "governance.suites.grpc_aio": ("grpc",),
    "governance.suites._grpc_aio_actions": ("grpc",),
    "governance.suites._grpc_aio_calls": ("grpc",),
    "governance.suites._grpc_aio_intercepted": ("grpc",),
    "governance.suites._grpc_calls": ("grpc",),
    "governance.suites._grpc_codes": ("grpc",),
    "governance.suites._grpc_methods": ("grpc",),
    "governance.suites._grpc_native": ("grpc",),
    "governance.suites._grpc_place": ("grpc",),
    "governance.suites._grpc_sync": ("grpc",),
    "governance.suites.aiohttp": ("aiohttp",),
    "governance.suites.httpx": ("httpx", "httpcore"),
    "governance.suites.requests": ("requests",),
    "governance.suites.urllib3": ("urllib3", "httpcore"),
    "governance.telemetry": ("prometheus_client",),
    "governance.telemetry.opentelemetry": ("opentelemetry",),
}


def modules() -> Iterator[tuple[str, Path]]:
    for top in ("xds", "governance"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def room(module: str, table: dict[str, tuple[str, ...]]) -> str:
    return max((each for each in table if module == each or module.startswith(each + ".")), key=len)


def imports(module: str, path: Path) -> Iterator[str]:
    """Absolute names of everything that a module imports when it runs (what only type checkers see counts too)."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            if node.level:
                # `from .. import x` may name a module, `from ..x import y` a member: both count as the longest module.
                yield from (f"{prefix}.{each.name}" for each in node.names)
            else:
                yield prefix


def within(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == each or name.startswith(each + ".") for each in allowed)


@pytest.mark.parametrize(("module", "path"), [pytest.param(*each, id=each[0]) for each in modules()])
def test_a_module_imports_only_what_its_room_may(module: str, path: Path) -> None:
    own = room(module, OURS)
    others = OTHERS[room(module, OTHERS)]
    for name in imports(module, path):
        top = name.partition(".")[0]
        if top in ("xds", "governance"):
            assert within(name, (own, *OURS[own])), f"{module} imports {name}; {own} may import {OURS[own]}"
        elif top == "proxyless":
            pytest.fail(f"{module} imports {name}: inside the package imports are relative")
        else:
            assert top in sys.stdlib_module_names or within(name, others), f"{module} imports {name}"


def test_nobody_imports_telemetry_but_the_mesh() -> None:
    for module, path in modules():
        if not module.startswith("governance.telemetry"):
            assert not any(name.startswith("governance.telemetry") for name in imports(module, path)), module
