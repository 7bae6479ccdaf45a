"""`proxyless explain` as somebody calls it, held to its contract: every key, every exit status, odd input."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from proxyless.cli import main
from proxyless.governance.explain import KEYS
from tests.support.ads import AdsServer, recorded_resources

RECORDED = Path(__file__).parents[2] / "recorded" / "shop" / "xds"
CONFIG = Path(__file__).parents[2] / "docs" / "istio"
SCHEMA = jsonschema.Draft202012Validator(json.loads((files("proxyless.schemas") / "explain.schema.json").read_text()))
FRONTEND = ("--recorded", str(RECORDED / "frontend"))
STOREFRONT = ("--config", str(CONFIG), "--app", "storefront", "--namespace", "shop", "--ip", "127.0.10.1")
SUFFIX = "shop.svc.cluster.local"

Document = dict[str, Any]


class Explain:
    """The command, in this process: its exit status, and what it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.errors = ""

    def __call__(self, *arguments: str, stdin: bytes = b"") -> tuple[int, str]:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        with pytest.raises(SystemExit) as ended:
            main(["explain", *arguments])
        out, self.errors = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out

    def one(self, *arguments: str, status: int = 0) -> Document:
        """The document of one request, which has the published form."""
        code, out = self(*arguments, "--json")
        assert code == status, self.errors or out
        return checked(json.loads(out))

    def lines(
        self, *lines: Document | str | bytes, source: tuple[str, ...] = FRONTEND, more: tuple[str, ...] = ()
    ) -> Any:
        """(exit status, the documents) of lines given as objects or as they stand."""
        raw = [json.dumps(each) if isinstance(each, dict) else each for each in lines]
        stdin = b"".join((each if isinstance(each, bytes) else each.encode()) + b"\n" for each in raw)
        code, out = self("--requests", "-", *source, *more, stdin=stdin)
        found = [json.loads(each) for each in out.splitlines()]
        return code, [each if "error" in each else checked(each) for each in found]


def checked(document: Document) -> Document:
    SCHEMA.validate(document)
    assert list(document) == KEYS
    return document


def asked(url: str, *headers: str, method: str = "GET", **more: Any) -> Document:
    return {"method": method, "url": url, "headers": [each.split(": ", 1) for each in headers], **more}


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Explain:
    return Explain(capsys, monkeypatch)


def test_a_routed_request_says_all_that_was_decided(explain: Explain) -> None:
    found = explain.one("GET", "http://catalog/items?x=1", "-H", "Accept: */*", *FRONTEND)
    names = [f"outbound|80|v{number}|catalog.{SUFFIX}" for number in (1, 2, 3)]
    assert found["request"] == {"method": "GET", "url": "http://catalog/items?x=1", "headers": [["Accept", "*/*"]]}
    assert found["resolved"] == {"address": "10.96.1.2", "by": "name_table"}
    assert (found["listener"], found["filter_chain"], found["route_config"]) == ("0.0.0.0_80", "", "80")
    assert (found["virtual_host"], found["route"], found["route_index"]) == (f"catalog.{SUFFIX}:80", "canary", 5)
    assert (found["action"], found["cluster"] in names[:2]) == ("route", True)
    assert found["weighted_clusters"] == [{"name": names[0], "weight": 80}, {"name": names[1], "weight": 20}]
    assert found["mirrors"] == [{"cluster": names[2], "percent": 10.0}]
    assert (found["method"], found["authority"], found["path"]) == ("GET", "catalog", "/items?x=1")
    assert ["accept", "*/*"] in found["request_headers"]
    assert "x-request-id" not in [name for name, _ in found["request_headers"]]
    assert (found["timeout_s"], found["idle_timeout_s"]) == (4.0, None)
    assert found["retry"] == {
        "on": ["5xx", "reset", "connect-failure", "retriable-status-codes"],
        "retries": 3,
        "per_try_timeout_s": 0.5,
        "status_codes": [409],
        "host_predicates": ["envoy.retry_host_predicates.previous_hosts"],
    }
    assert (found["protocol"], found["tls"]) == ("http1", None)
    assert found["endpoint"] in [each["address"] for each in found["endpoints"]]
    assert [found[key] for key in ("status", "response_flags", "body", "location", "fault", "counts")] == [None] * 6
    assert not any("mirror" in each["field"] for each in found["not_honoured"])
    assert all(isinstance(each, str) for each in found["why"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (asked("http://catalog/teapot"), {"action": "direct_response", "status": 418, "body": "teapot"}),
        (asked("http://catalog/teapot", method="HEAD"), {"action": "direct_response", "status": 418, "body": ""}),
        (
            asked("http://catalog/old/x?y"),
            {"action": "redirect", "status": 301, "location": "http://catalog.shop/new?y", "cluster": None},
        ),
        (asked("http://elsewhere.example/"), {"action": "passthrough", "cluster": "PassthroughCluster"}),
        (asked("https://elsewhere.example/"), {"action": "passthrough", "protocol": "tcp"}),
        (
            asked("http://catalog/v1/a?b"),
            {"route": "legacy-path", "path": "/items/a?b", "authority": "catalog.legacy"},
        ),
        (asked("http://catalog/v1/a", "x-no-legacy: 1"), {"route": "canary", "path": "/v1/a"}),
        (asked("http://catalog/?preview=1"), {"cluster": f"outbound|80|v3|catalog.{SUFFIX}", "timeout_s": 2.0}),
        (asked("http://cart/"), {"lb_policy": "RING_HASH", "timeout_s": None}),
        (asked("http://10.96.1.2/"), {"resolved": {"address": "10.96.1.2", "by": "literal"}}),
        (asked("http://elsewhere.example/"), {"resolved": {"address": None, "by": None}}),
        (asked("http://catalog.shop/"), {"virtual_host": f"catalog.{SUFFIX}:80", "authority": "catalog.shop"}),
        (asked("http://catalog/", "host: cart"), {"virtual_host": f"cart.{SUFFIX}:80", "authority": "cart"}),
    ],
)
def test_an_answered_request_is_status_0(explain: Explain, line: Document, expected: Document) -> None:
    code, (found,) = explain.lines(line)
    assert code == 0
    assert {key: found[key] for key in expected} == expected


def test_a_route_s_mutations_are_told_in_order(explain: Explain) -> None:
    found = explain.one("GET", "http://catalog/v1/a", "-H", "x-debug: 1", *FRONTEND)
    sent = dict(found["request_headers"])
    assert "x-debug" not in sent
    assert (sent["x-legacy"], sent["x-envoy-original-path"], sent["x-envoy-original-host"]) == ("1", "/v1/a", "catalog")
    assert found["response_headers"] == [
        {"name": "x-served-by", "value": "legacy", "action": "overwrite_if_exists_or_add"}
    ]


@pytest.mark.parametrize(
    ("line", "status", "flags"),
    [
        (asked("http://catalog/%00"), 400, None),
        (asked("http://catalog/", method="get"), 400, "DPE"),
        (asked("http://catalog/", "host: a b"), 400, "DPE"),
        (asked("http://catalog/", "connection: upgrade", "upgrade: h3"), 403, None),
    ],
)
def test_a_request_that_the_mesh_refuses_is_status_1(
    explain: Explain, line: Document, status: int, flags: str | None
) -> None:
    code, (found,) = explain.lines(line)
    assert (code, found["status"], found["response_flags"], found["cluster"]) == (1, status, flags, None)


def test_the_worst_line_decides_the_exit_status(explain: Explain) -> None:
    good, refused = asked("http://catalog/"), asked("http://catalog/%00")
    assert explain.lines(good, refused, good)[0] == 1
    assert explain.lines(good, "no json", refused)[0] == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("no json", "Expecting value"),
        ("", "Expecting value"),
        ("[1]", "not an object"),
        ("null", "not an object"),
        ("{}", "method and url must be strings"),
        ('{"method": "GET"}', "method and url must be strings"),
        ('{"method": 1, "url": "http://catalog/"}', "method and url must be strings"),
        ('{"method": "GET", "url": "catalog"}', "'catalog' is not an http:// or https:// URL"),
        ('{"method": "GET", "url": "ftp://catalog/"}', "is not an http:// or https:// URL"),
        ('{"method": "GET", "url": "http:///x"}', "has no host"),
        ('{"method": "GET", "url": "http://catalog:0/"}', "'0' is not a port"),
        ('{"method": "GET", "url": "http://catalog:65536/"}', "'65536' is not a port"),
        ('{"method": "GET", "url": "http://catalog:x/"}', "'x' is not a port"),
        ('{"method": "GET", "url": "http://catalog:%s/"}' % ("9" * 5000), "is not a port"),
        ('{"method": "GET", "url": "http://catalog/", "headers": "ab"}', "headers must be [[name, value], ...]"),
        ('{"method": "GET", "url": "http://catalog/", "headers": ["ab"]}', "headers must be [[name, value], ...]"),
        ('{"method": "GET", "url": "http://catalog/", "headers": [["a", 1]]}', "headers must be [[name, value], ...]"),
        ('{"method": "GET", "url": "http://catalog/", "headers": [["a"]]}', "headers must be [[name, value], ...]"),
        ('{"method": "GET", "url": "http://catalog/", "headers": 1}', "headers must be [[name, value], ...]"),
        ('{"method": "GET", "url": "http://catalog/", "count": 0}', "count must be a positive integer"),
        ('{"method": "GET", "url": "http://catalog/", "count": true}', "count must be a positive integer"),
        ('{"method": "GET", "url": "http://catalog/", "count": 1.5}', "count must be a positive integer"),
        ('{"method": "GET", "url": "http://catalog/\\ud800"}', "surrogates not allowed"),
        ('{"method": "GET", "url": "http://\\ud800/"}', "surrogates not allowed"),
        ('{"method": "\\ud800", "url": "http://catalog/"}', "surrogates not allowed"),
        ('{"method": "GET", "url": "http://catalog/", "headers": [["a", "\\ud800"]]}', "surrogates not allowed"),
        (b'{"method": "GET", "url": "http://catalog/\xff"}', "not UTF-8"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=range(28),
)
def test_a_bad_line_says_so_in_its_place_and_the_others_are_answered(
    explain: Explain, line: str | bytes, says: str
) -> None:
    good = asked("http://catalog/")
    code, (first, second, third) = explain.lines(good, line, good)
    assert (code, set(second), second["line"]) == (2, {"error", "line"}, 2)
    assert says in second["error"]
    assert first["action"] == third["action"] == "route"


ODD = [
    asked("http://catalog/", method=""),
    asked("http://catalog/", method="☃"),
    asked("http://catalog/", method="GET /x HTTP/1.1\r\n"),
    asked("http://catalog/", method="CONNECT"),
    asked("http://catalog/", method="OPTIONS"),
    asked("http://catalog"),
    asked("http://catalog?x"),
    asked("http://catalog#x"),
    asked("HTTP://CATALOG/"),
    asked("http://user:secret@catalog:80/"),
    asked("http://catalog/caf\u00e9?\u2603"),
    asked("http://catalog/a b"),
    asked("http://catalog/\x00\x7f\r\n"),
    asked("http://catalog//..//%2e%2e/%zz%"),
    asked("http://catalog/" + "a" * 100_000),
    asked("http://catalog/*"),
    asked("http://b\u00fccher.example/"),
    asked("http://a b/"),
    asked("http://[::1]:80/"),
    asked("http://[::1/"),
    asked("http://[fe80::1%25eth0]/"),
    asked("http://catalog:/"),
    asked("http://catalog.:80/"),
    asked("http://%2e/"),
    asked("http://999.999.999.999/"),
    asked("http://-_~!$&'()*+,;=/"),
    asked("http://" + "a" * 10_000 + "/"),
    asked("https://[::1]/"),
    asked("http://catalog:65535/"),
    asked("http://catalog/", "host: "),
    asked("http://catalog/", "\u2603: \u2603"),
    asked("http://catalog/", "x: a\r\nb: c"),
    asked("http://catalog/", ": empty"),
    asked("http://catalog/", ":path: /x"),
    asked("http://catalog/", "content-type: application/grpc", "grpc-timeout: never"),
    asked("http://catalog/", *(f"x-{number}: {number}" for number in range(200))),
]


def test_odd_methods_hosts_and_paths_are_answered(explain: Explain) -> None:
    code, found = explain.lines(*ODD)
    assert code == 1, "some of them are refused, none is bad input"
    assert [each["request"]["url"] for each in found] == [each["url"] for each in ODD]
    assert all("error" not in each for each in found)


@pytest.mark.parametrize("port", ["8000", "9999"])
def test_odd_incoming_requests_are_answered_too(explain: Explain, port: str) -> None:
    code, found = explain.lines(*ODD, more=("--inbound", port))
    assert code in (0, 1)
    assert len(found) == len(ODD)
    assert all("error" not in each for each in found)


def test_text_that_is_no_utf8_on_the_command_line_is_sent_as_it_came(explain: Explain) -> None:
    url, value = "http://catalog/\udcff", "x: \udcff"
    assert explain.one("GET", url, "-H", value, *FRONTEND)["action"] == "passthrough"
    for arguments in (("GET", url), ("GET", "http://catalog/", "-H", value), ("G\udcff", "http://catalog/")):
        assert explain(*arguments, *FRONTEND)[0] in (0, 1)


def test_a_byte_order_mark_and_windows_lines_are_no_trouble(explain: Explain) -> None:
    line = json.dumps(asked("http://catalog/"))
    code, out = explain("--requests", "-", *FRONTEND, stdin=b"\xef\xbb\xbf" + f"{line}\r\n{line}\r\n".encode())
    assert (code, len(out.splitlines())) == (0, 2)


def test_requests_may_stand_in_a_file_and_an_empty_one_is_answered_by_nothing(explain: Explain, tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text(json.dumps(asked("http://catalog/")))
    code, out = explain("--requests", str(file), *FRONTEND)
    assert (code, json.loads(out)["action"]) == (0, "route")
    file.write_text("")
    assert explain("--requests", str(file), *FRONTEND) == (0, "")


def test_headers_may_be_left_out_or_an_object(explain: Explain) -> None:
    code, found = explain.lines(
        {"method": "GET", "url": "http://catalog/"},
        {"method": "GET", "url": "http://catalog/", "headers": None},
        {"method": "GET", "url": "http://catalog/", "headers": {"A": " b\t"}},
    )
    assert code == 0
    assert [each["request"]["headers"] for each in found] == [[], [], [["A", "b"]]]


def test_counting_repeats_the_draw_and_the_weights_show(explain: Explain) -> None:
    found = explain.one("GET", "http://catalog/", "--count", "1000", *FRONTEND)
    clusters, endpoints = found["counts"]["clusters"], found["counts"]["endpoints"]
    assert sum(clusters.values()) == sum(endpoints.values()) == 1000
    assert clusters.keys() == {f"outbound|80|v{number}|catalog.{SUFFIX}" for number in (1, 2)}
    assert 740 < clusters[f"outbound|80|v1|catalog.{SUFFIX}"] < 860


def test_a_line_s_own_count_comes_before_the_option(explain: Explain) -> None:
    lines = [asked("http://payment/", count=6), asked("http://payment/"), asked("http://payment/", count=None)]
    code, found = explain.lines(*lines, more=("--count", "4"))
    totals = [None if each["counts"] is None else sum(each["counts"]["endpoints"].values()) for each in found]
    assert (code, totals) == (0, [6, 4, None])


def test_the_seed_fixes_every_draw(explain: Explain) -> None:
    def drawn(*seed: str) -> list[Any]:
        lines = [asked("http://catalog/"), asked("http://payment/"), asked("http://cart/")] * 10
        return [[each["cluster"], each["endpoint"]] for each in explain.lines(*lines, more=seed)[1]]

    assert drawn() == drawn()
    assert drawn("--seed", "7") == drawn("--seed", "7")
    assert len({json.dumps(drawn("--seed", str(seed))) for seed in range(5)}) > 1


def test_an_injected_fault_is_a_failure_and_says_itself(explain: Explain) -> None:
    code, (found,) = explain.lines(asked("http://payment/", "x-chaos: on"))
    assert (code, found["status"], found["response_flags"]) == (1, 503, "DI,FI")
    assert found["fault"] == {"delay_s": 0.2, "delay_percent": 100.0, "abort_status": 503, "abort_percent": 100.0}


def test_round_robin_carries_on_from_line_to_line(explain: Explain) -> None:
    _, found = explain.lines(*[asked("http://payment/")] * 10)
    picks = [each["endpoint"] for each in found]
    addresses = {each["address"] for each in found[0]["endpoints"] if each["priority"] == 0}
    assert set(picks) == addresses
    # Localities weigh 70, 20 and 10.
    assert sorted(picks.count(each) for each in addresses) == [1, 2, 7]


def test_resolve_overrides_the_name_table(explain: Explain) -> None:
    found = explain.one("GET", "http://elsewhere.example/", "--resolve", "elsewhere.example=10.96.1.2", *FRONTEND)
    assert found["resolved"] == {"address": "10.96.1.2", "by": "literal"}
    found = explain.one("GET", "http://catalog/", "--resolve", "catalog=192.0.2.1", *FRONTEND)
    assert found["resolved"]["address"] == "192.0.2.1"


def test_a_recording_may_be_an_archive(explain: Explain, tmp_path: Path) -> None:
    archive = tmp_path / "frontend.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(RECORDED / "frontend", "frontend")
    ours = explain.one("GET", "http://catalog/items", "--recorded", str(archive))
    assert ours == explain.one("GET", "http://catalog/items", *FRONTEND)


@pytest.mark.parametrize("folder", ["frontend-changes", "frontend-changes-delta"])
def test_until_stops_after_a_file(explain: Explain, folder: str) -> None:
    source = ("--recorded", str(RECORDED / folder))

    def weights(*more: str) -> list[int]:
        return [each["weight"] for each in explain.one("GET", "http://catalog/", *source, *more)["weighted_clusters"]]

    assert weights("--until", "5") == [80, 20]
    assert weights("--until", "8") == weights() != [80, 20]
    before = explain.one("GET", "http://inventory.example.com:8080/", *source, "--until", "13")
    after = explain.one("GET", "http://inventory.example.com:8080/", *source)
    assert (before["action"], after["action"]) == ("route", "passthrough")


def test_the_light_profile_is_answered_by_the_listeners_that_it_has(explain: Explain) -> None:
    light = ("--recorded", str(RECORDED / "frontend-grpc"))
    found = explain.one("GET", "http://catalog/teapot", *light)
    assert (found["listener"], found["status"]) == ("catalog.shop.svc.cluster.local:80", 418)
    found = explain.one("GET", "http://payment/", *light)
    assert (found["cluster"], found["retry"]["retries"]) == ("outbound|80||payment.shop.svc.cluster.local", 2)
    assert explain.one("GET", "http://cart/", *light, status=1)["action"] == "refused"


@pytest.mark.parametrize(
    ("until", "lacks"), [("1", "the first complete configuration"), ("3", "route configuration '80'")]
)
def test_what_a_recording_does_not_hold_yet_is_named_and_is_a_failure(explain: Explain, until: str, lacks: str) -> None:
    found = explain.one("GET", "http://cart/", *FRONTEND, "--until", until, status=1)
    assert lacks in found["why"][-1]
    assert (found["endpoint"], found["status"], found["action"]) == (None, None, "none")


@pytest.mark.parametrize("scheme", ["", "xds://"])
def test_a_control_plane_answers_for_its_address(explain: Explain, scheme: str) -> None:
    with AdsServer(recorded_resources(RECORDED / "frontend")) as server:
        found = explain.one("GET", "http://cart/", "--xds", f"{scheme}{server.address}", "--namespace", "shop")
    assert found["cluster"] == "outbound|80||cart.shop.svc.cluster.local"


def test_a_folder_of_yaml_answers_as_whoever_asks(explain: Explain) -> None:
    found = explain.one("GET", "http://catalog/items", "-H", "x-user: alice", *STOREFRONT)
    assert (found["route"], found["endpoint"]) == ("alice", "127.0.20.2:8080")
    elsewhere = ("--config", str(CONFIG), "--app", "other", "--namespace", "bank", "--ip", "127.0.30.1")
    assert explain.one("GET", "http://catalog.shop/items", *elsewhere)["route"] == "canary"
    assert explain.one("GET", "http://catalog/items", *elsewhere)["action"] == "passthrough"


def test_source_labels_decide_by_who_asks(explain: Explain, tmp_path: Path) -> None:
    for name in ("catalog.yaml", "storefront.yaml"):
        text = (CONFIG / name).read_text()
        (tmp_path / name).write_text(text.replace("headers: {x-user: {exact: alice}}", "sourceLabels: {tier: gold}"))
    source = (
        "--config",
        str(tmp_path),
        "--app",
        "storefront",
        "--namespace",
        "shop",
        "--pod",
        "p",
        "--ip",
        "127.0.9.9",
    )
    who = (*source, "--service-account", "sa", "--locality", "r1/a/x")
    assert explain.one("GET", "http://catalog/", *who)["route"] == "canary"
    assert explain.one("GET", "http://catalog/", *who, "--label", "tier=gold")["route"] == "alice"


def test_an_incoming_request_says_what_its_filters_would(explain: Explain) -> None:
    found = explain.one("GET", "http://storefront/a", "--inbound", "8000", "--count", "3", *STOREFRONT, status=1)
    assert (found["listener"], found["filter_chain"]) == ("virtualInbound", "0.0.0.0_8000")
    assert (found["action"], found["cluster"], found["route"]) == ("route", "inbound|8000||", "default")
    assert (found["status"], found["rate_limit"]) == (None, {"allowed": True, "status": None})
    assert found["counts"] == {"clusters": {"inbound|8000||": 3}, "endpoints": {}, "allowed": 2, "refused": 1}
    outgoing = ("resolved", "retry", "tls", "lb_policy", "hash", "endpoint", "fault", "location", "authorization")
    assert [found[key] for key in outgoing] == [None] * len(outgoing)


def test_buckets_carry_on_from_line_to_line(explain: Explain) -> None:
    lines = [asked("http://storefront/"), asked("http://storefront/", "content-type: application/grpc", method="POST")]
    code, found = explain.lines(lines[0], lines[0], lines[0], lines[1], source=STOREFRONT, more=("--inbound", "8000"))
    assert code == 1
    assert [each["status"] for each in found] == [None, None, 429, 200]
    assert [each["response_flags"] for each in found] == [None, None, "RL", "RL"]
    assert found[2]["rate_limit"] == {"allowed": False, "status": 429}
    assert found[2]["body"] == "local_rate_limited"


def test_an_incoming_request_that_policies_refuse_says_why(explain: Explain) -> None:
    payment = ("--recorded", str(RECORDED / "payment"), "--inbound", "8080")
    found = explain.one("POST", "http://payment/charge", *payment, status=1)
    assert (found["action"], found["status"], found["response_flags"]) == ("route", 403, None)
    assert found["body"] == "RBAC: access denied"
    assert found["authorization"]["allowed"] is False
    assert found["authorization"]["reason"] == "rbac_access_denied_matched_policy[none]"
    plain = ("--recorded", str(RECORDED / "ledger"), "--inbound", "8080")
    ledger = explain.one("GET", "http://ledger/", *plain, status=1)
    assert (ledger["action"], ledger["status"], ledger["cluster"]) == ("refused", 503, None)


def test_where_an_incoming_request_comes_from_may_be_said(explain: Explain) -> None:
    lines = [asked("http://frontend/", "x-user: alice", count=3)]
    for more in ((), ("--source-ip", "127.0.99.9")):
        code, (found,) = explain.lines(*lines, more=("--inbound", "8080", *more))
        assert (code, found["counts"]["allowed"], found["counts"]["refused"]) == (1, 2, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("GET", "http://catalog/"), "choose one source"),
        (("GET", "http://catalog/", *FRONTEND, "--config", str(CONFIG)), "choose one source"),
        (("GET", "http://catalog/", "--recorded", "nowhere"), "nowhere"),
        (("GET", "http://catalog/", *FRONTEND, "--until", "0"), "no recorded responses"),
        (("GET", "http://catalog/", "--config", "nowhere"), "nowhere"),
        (("GET", *FRONTEND), "METHOD and URL"),
        (FRONTEND, "METHOD and URL"),
        (("GET", "http://catalog/", "--requests", "-", *FRONTEND), "METHOD and URL"),
        (("GET", "--requests", "-", *FRONTEND), "METHOD and URL"),
        (("GET", "catalog", *FRONTEND), "is not an http:// or https:// URL"),
        (("GET", "http://catalog/", "-H", "no colon", *FRONTEND), "is not NAME:VALUE"),
        (("GET", "http://catalog/", "-H", ": x", *FRONTEND), "is not NAME:VALUE"),
        (("GET", "http://catalog/", "--resolve", "catalog", *FRONTEND), "is not NAME=VALUE"),
        (("GET", "http://catalog/", "--count", "0", *FRONTEND), "--count"),
        (("GET", "http://catalog/", "--inbound", "0", *FRONTEND), "--inbound"),
        (("GET", "http://catalog/", "--inbound", "65536", *FRONTEND), "--inbound"),
        (("GET", "http://catalog/", "--label", "x", *FRONTEND), "is not KEY=VALUE"),
        (("GET", "http://catalog/", "--locality", "a/b/c/d", *FRONTEND), "is not region/zone/sub_zone"),
        (("--requests", "nowhere", *FRONTEND), "nowhere"),
        (("GET", "http://catalog/", "--unheard-of"), "--unheard-of"),
        (("GET", "http://catalog/", "--xds", "127.0.0.1:1", "--timeout", "0.2"), "127.0.0.1:1"),
    ],
    ids=range(21),
)
def test_bad_usage_is_status_2_and_says_why(explain: Explain, arguments: tuple[str, ...], says: str) -> None:
    code, out = explain(*arguments)
    assert (code, out) == (2, "")
    assert says in explain.errors
    assert "Traceback" not in explain.errors


def test_for_people_it_says_why_and_the_figures_that_matter(explain: Explain) -> None:
    code, out = explain("GET", "http://catalog/old/x", "-H", "A: b", *FRONTEND)
    assert code == 0
    assert "catalog is 10.96.1.2 (name table)" in out
    assert "location: http://catalog.shop/new" in out
    code, out = explain("GET", "http://catalog/\udcff", *FRONTEND)
    assert code == 0


def test_a_method_in_lower_case_is_what_a_client_makes_of_it(explain: Explain) -> None:
    assert explain.one("get", "http://catalog/items", *STOREFRONT)["request"]["method"] == "GET"
    # What comes in is compared as it is.
    _, out = explain("get", "http://storefront/", "--inbound", "8000", *STOREFRONT, "--json")
    assert json.loads(out)["request"]["method"] == "get"
