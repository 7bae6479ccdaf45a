"""Requests from a file: YAML, JSON, or one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ..cli._url import parse_url
from ..errors import ConfigurationError
from .samples import Asked

KEYS = ("method", "url", "headers", "client")
CLIENT_KEYS = ("app", "namespace", "service_account")


def read_requests(path: str) -> list[Asked]:
    """The requests of a file, in order; `origin` says file and line of each.

    Raises:
        ConfigurationError: it cannot be read, or something in it is no request; the text names file and line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return [_request(path, line, said) for line, said in _entries(path, text)]


def _entries(path: str, text: str) -> Iterator[tuple[int, Any]]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if path.endswith((".jsonl", ".ndjson")) or (len(lines) > 1 and all(_object(line) for _, line in lines)):
        for number, line in lines:
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ConfigurationError(f"{path}:{number}: {error}") from error
        return
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            for each in _items(node):
                yield each.start_mark.line + 1, loader.construct_document(each)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark is not None else path
        raise ConfigurationError(f"{place}: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    finally:
        loader.dispose()


def _object(line: str) -> bool:
    return line.startswith("{") and line.rstrip().endswith("}")


def _items(node: Any) -> list[Any]:
    """The members of a list, or of `requests:`; else the document is one request."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "requests" and isinstance(value, yaml.SequenceNode):
                return list(value.value)
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def _request(path: str, line: int, said: Any) -> Asked:
    place = f"{path}:{line}"
    if not isinstance(said, dict):
        raise ConfigurationError(f"{place}: not a request: an object with url, and method, headers, client as needed")
    unknown = [str(each) for each in said if each not in KEYS]
    if unknown:
        raise ConfigurationError(f"{place}: unknown key {unknown[0]!r}; a request has {', '.join(KEYS)}")
    method, url = said.get("method", "GET"), said.get("url")
    if not isinstance(method, str) or not method:
        raise ConfigurationError(f"{place}: method: not a string")
    if not isinstance(url, str):
        raise ConfigurationError(f"{place}: url: {'missing' if url is None else 'not a string'}")
    try:
        parse_url(url)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: url: {error}") from error
    return Asked(method, url, _headers(place, said.get("headers")), place, _client(place, said.get("client")))


def _headers(place: str, said: Any) -> tuple[tuple[str, str], ...]:
    pairs = list(said.items()) if isinstance(said, dict) else [] if said is None else said
    if not isinstance(pairs, list):
        raise ConfigurationError(f"{place}: headers: neither an object nor a list of [name, value]")
    found = []
    for each in pairs:
        if not isinstance(each, list | tuple) or len(each) != 2 or not all(isinstance(part, str) for part in each):
            raise ConfigurationError(f"{place}: headers: {each!r} is not a name and a value, both text")
        found.append((each[0], each[1].strip(" \t")))
    return tuple(found)


def _client(place: str, said: Any) -> tuple[tuple[str, str], ...]:
    if said is None:
        return ()
    if isinstance(said, str):
        said = dict(part.partition("=")[::2] for part in said.split(","))
    if not isinstance(said, dict):
        raise ConfigurationError(f"{place}: client: neither an object nor text such as app=web,namespace=shop")
    for key, value in said.items():
        known = isinstance(key, str) and (key in CLIENT_KEYS or key.startswith("label."))
        if not known or not isinstance(value, str) or not value:
            names = ", ".join((*CLIENT_KEYS, "label.NAME"))
            raise ConfigurationError(f"{place}: client: {key!r} is none of {names}, or says nothing")
    return tuple(sorted(said.items()))
