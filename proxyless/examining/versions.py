"""Versions that do not go together, and switches of the environment that change what a mesh does."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version

from .._variables import YES
from .finding import ERROR, GOOD, WARNING, Finding

OLDEST, NEWEST = (3, 11), (3, 14)
_WANTED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*(?:[^;]*?>=\s*([\d.]+))?[^;]*(?:;.*)?$")


def versions(python: tuple[int, int] = sys.version_info[:2]) -> Iterator[Finding]:
    """Python, proxyless, and what it needs."""
    text = f"Python {platform.python_version()} ({platform.python_implementation()})"
    if not OLDEST <= python <= NEWEST:
        do = f"take one from {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
        yield Finding("versions", WARNING, f"{text} has not been tried", do)
    else:
        yield Finding("versions", GOOD, text)
    missing, old, found = needed()
    for name, least in missing:
        yield Finding("versions", ERROR, f"{name} is not installed ({least or 'any version'})", "pip install proxyless")
    for name, has, least in old:
        yield Finding(
            "versions", ERROR, f"{name} {has} is too old: {least} is the least", f"pip install '{name}>={least}'"
        )
    yield Finding("versions", GOOD, ", ".join(f"{name} {has}" for name, has in found))


def needed() -> tuple[list[tuple[str, str]], list[tuple[str, str, str]], list[tuple[str, str]]]:
    """What is missing, what is too old, and what is there."""
    missing: list[tuple[str, str]] = []
    old: list[tuple[str, str, str]] = []
    found: list[tuple[str, str]] = []
    for each in ["proxyless", *_requirements()]:
        match = _WANTED.match(each)
        if match is None:
            continue
        name, least = match[1], match[2] or ""
        try:
            has = version(name)
        except PackageNotFoundError:
            missing.append((name, least))
            continue
        if least and _numbers(has) < _numbers(least):
            old.append((name, has, least))
        found.append((name, has))
    return missing, old, found


def _requirements() -> list[str]:
    try:
        return [each for each in requires("proxyless") or () if "extra ==" not in each]
    except PackageNotFoundError:
        return []


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", text.split("+")[0])[:3])


SWITCHES: Mapping[str, tuple[str, str]] = {
    "PROXYLESS_DISABLE": ("every suite passes requests through: nothing is governed", "take it away"),
    "PROXYLESS_IDENTITY": ("the process has no certificate, on purpose", "take it away, if it is to call by mTLS"),
    "PROXYLESS_ALLOW_UNENFORCED": (
        "filters that are named there are not enforced",
        "take it away, if that is not meant",
    ),
    "PROXYLESS_ALLOW_SIDECAR": ("a sidecar beside the process would be no error", "take it away, if that is not meant"),
}


def _acts(name: str, value: str) -> bool:
    if name == "PROXYLESS_IDENTITY":
        return value == "none"
    return value not in ("", "0") if name == "PROXYLESS_ALLOW_UNENFORCED" else value.lower() in YES


def switches(environ: Mapping[str, str]) -> Iterator[Finding]:
    """What somebody has switched off."""
    for name, (what, do) in SWITCHES.items():
        value = environ.get(name, "")
        if _acts(name, value):
            yield Finding("environment", WARNING, f"{name}={value}: {what}", do)
    from ..xds.transport.grpc_stream import FORK_SUPPORT, supports_forks

    if supports_forks(environ):
        text = f"{FORK_SUPPORT}={environ[FORK_SUPPORT]}: forked processes would hang, so a mesh refuses to start"
        yield Finding("environment", ERROR, text, "take it away: forked children are looked after without it")
