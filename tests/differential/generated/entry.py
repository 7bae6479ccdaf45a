"""A case as the Python text of an entry for `found.py`."""

from __future__ import annotations

from pprint import pformat

from tests.differential.case import Case
from tests.differential.keyed import Asked
from tests.differential.keyed import Case as Keyed
from tests.differential.requests import Request

WIDTH = 110


def entry(name: str, case: Case) -> str:
    """`"name": Case(...),`, ready to be pasted; ruff puts it in shape."""
    hosts, requests = [_plain(each) for each in case.hosts], [_request(each) for each in case.requests]
    parts = [f"({_listed(hosts)})", f"({_listed(requests)})"]
    parts += [f"table={_plain(case.table)}"] if case.table else []
    parts += [f"manager={_plain(case.manager)}"] if case.manager else []
    return f"{name!r}: Case(\n    " + ",\n    ".join(parts) + ",\n),"


def keyed_entry(name: str, case: Keyed, asked: Asked) -> str:
    """The same of a case about keys."""
    route = f", {case.route!r}" if case.route else ""
    return f"{name!r}: (Keyed({_plain(case.cluster)}, {_plain(case.action)}{route}), {asked!r}),"


def _listed(parts: list[str]) -> str:
    return "".join(f"{each}, " for each in parts).rstrip()


def _request(request: Request) -> str:
    body = f", {request.body!r}" if request.body else ""
    return f"Request({request.method!r}, {request.url!r}, {request.headers!r}{body})"


def _plain(value: object) -> str:
    return pformat(value, width=WIDTH, sort_dicts=False)
