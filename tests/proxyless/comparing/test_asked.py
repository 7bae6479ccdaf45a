"""Requests from a file: what is read, and what is refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxyless.comparing.asked import read_requests
from proxyless.comparing.samples import Asked
from proxyless.errors import ConfigurationError
from tests.proxyless.comparing.support import changes, compared, folders, shop

GOOD = {
    "a.yaml": """\
- url: http://a/
- {method: PUT, url: 'http://b:8080/x', headers: {x-a: b}, client: 'app=web'}
""",
    "b.yaml": """\
requests:
- url: http://a/
- method: PUT
  url: http://b:8080/x
  headers: [[x-a, b]]
  client: {app: web}
""",
    "c.json": """\
[{"url": "http://a/"},
 {"method": "PUT", "url": "http://b:8080/x",
  "headers": {"x-a": " b "}, "client": {"app": "web"}}]
""",
    "d.jsonl": """\
{"url": "http://a/"}

{"method": "PUT", "url": "http://b:8080/x", "headers": [["x-a", "b"]], "client": "app=web"}
""",
    "e.yaml": """\
url: http://a/
---
{method: PUT, url: 'http://b:8080/x', headers: {x-a: b}, client: {app: web}}
""",
}


@pytest.mark.parametrize("name", GOOD)
def test_every_form_says_the_same(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(GOOD[name])
    first, second = read_requests(str(tmp_path / name))
    assert first == Asked("GET", "http://a/", (), first.origin)
    assert second == Asked("PUT", "http://b:8080/x", (("x-a", "b"),), second.origin, (("app", "web"),))
    assert first.origin.startswith(f"{tmp_path / name}:")
    assert first.origin < second.origin


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- url: http://a/\n- GET http://b/\n", "2: not a request"),
        ("- url: http://a/\n- {url: 'http://b/', body: x}\n", "2: unknown key 'body'"),
        ("- method: GET\n", "1: url: missing"),
        ("- url: 7\n", "1: url: not a string"),
        ("- {url: 'http://b/', method: 3}\n", "1: method: not a string"),
        ("\n- url: ftp://b/\n", "2: url: 'ftp://b/' is not an http:// or https:// URL"),
        ("- {url: 'http://b/', headers: 3}\n", "1: headers: neither"),
        ("- {url: 'http://b/', headers: {a: 3}}\n", "1: headers: ('a', 3)"),
        ("- {url: 'http://b/', headers: [[a]]}\n", "1: headers: ['a']"),
        ("- {url: 'http://b/', client: 3}\n", "1: client: neither"),
        ("- {url: 'http://b/', client: 'ap=web'}\n", "1: client: 'ap' is none of"),
        ("- url: [\n", "expected"),
        ('{"url": "http://a/"}\n{"url": }\n', "2: Expecting value"),
        ("- !!python/object:os.system {}\n", "could not determine a constructor"),
    ],
)
def test_what_is_no_request_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "asked"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        read_requests(str(file))
    assert str(error.value).startswith(str(file))
    assert said in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_requests(str(tmp_path / "none"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="bytes"):
        read_requests(str(tmp_path / "bytes"))


def test_requests_are_asked_for_their_client(tmp_path: Path) -> None:
    old = shop("[{match: [{uri: {prefix: /a}}], timeout: 1s, route: [{destination: {host: web}}]}]")
    new = old.replace("1s", "2s")
    asked = Asked("GET", "http://web/a/b", (), "asked.yaml:1", (("app", "web"),))
    (found,) = [each for each in changes(compared(tmp_path, old, new, asked), "requests") if each["url"] == asked.url]
    assert found["origin"] == "asked.yaml:1"
    nobody = Asked("GET", "http://web/a", (), "asked.yaml:2", (("app", "nobody"),))
    with pytest.raises(ConfigurationError, match=r"asked.yaml:2: no kind of client is app=nobody"):
        compared(tmp_path, old, new, nobody)
    assert folders(tmp_path, old, new)
