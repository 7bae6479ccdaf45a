"""Objects of an API server: list, watch, resume, and every way in which that goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from proxyless.xds.controlplane.objects import Fault, Object
from proxyless.xds.controlplane.source import Loaded
from proxyless.xds.controlplane.source.cluster import KindStatus, KubernetesSource
from proxyless.xds.controlplane.source.cluster.reflector import Pace

from .api_server import Small

QUICK = Pace(first_s=0.01, most_s=0.05, look_s=0.02)
READ = ("Service", "VirtualService", "Pod")


class Followed:
    """A source that is followed as a plane would, and the last state of it."""

    def __init__(self, server: Small, kinds: tuple[str, ...] = READ, pace: Pace = QUICK) -> None:
        from proxyless.xds.controlplane.source.cluster import readable

        self._turn = threading.Condition()
        self._told = self._seen = 0
        self.source = KubernetesSource(
            server.api, without=readable().keys() - set(kinds), uniform=lambda: 0.02, pace=pace
        )
        self.source.watch(self._heard)
        self.loaded = Loaded(())
        self.source.start()

    def _heard(self, names: set[str]) -> None:
        with self._turn:
            self._told += 1
            self._turn.notify_all()

    def until(self, holds: Callable[[Followed], Any]) -> None:
        with self._turn:
            while True:
                self._seen = self._told
                self.loaded = self.source.poll() or self.loaded
                if holds(self):
                    return
                assert self._turn.wait_for(self._news, 60), (self.loaded, self.kinds())

    def _news(self) -> bool:
        return self._told != self._seen

    def names(self) -> list[str]:
        return [str(item.ref) for item in self.loaded.objects]

    def said(self) -> list[str]:
        return [str(fault) for fault in self.loaded.faults]

    def kinds(self) -> dict[str, KindStatus]:
        return {each.kind: each for each in self.source.status()}

    def object(self, name: str) -> Object[Any]:
        return next(item for item in self.loaded.objects if str(item.ref) == name)


@pytest.fixture
def server() -> Iterator[Small]:
    made = Small()
    yield made
    made.end()


@pytest.fixture
def follow(server: Small) -> Iterator[Callable[..., Followed]]:
    made: list[Followed] = []

    def begin(**options: Any) -> Followed:
        made.append(Followed(server, **options))
        return made[-1]

    yield begin
    for each in made:
        each.source.close()


Follow = Callable[..., Followed]


def service(port: int = 80) -> dict[str, Any]:
    return {"spec": {"ports": [{"name": "http", "port": port}]}}


def route(host: str = "catalog", **fields: Any) -> dict[str, Any]:
    return {"spec": {"hosts": [host], "http": [{"route": [{"destination": {"host": host}}]}], **fields}}


def test_what_is_there_is_listed_and_what_changes_is_followed(server: Small, follow: Follow) -> None:
    server.apply("Service", "catalog", **service())
    server.apply("VirtualService", "catalog", **route())
    followed = follow()
    followed.until(lambda it: it.source.synced and len(it.names()) == 2)
    kept = followed.object("Service shop/catalog")
    server.apply("Service", "cart", **service())
    followed.until(lambda it: "Service shop/cart" in it.names())
    assert followed.object("Service shop/catalog") is kept, "what did not change is the same object"
    server.apply("Service", "catalog", **service(8080))
    followed.until(lambda it: it.object("Service shop/catalog").spec.ports[0].port == 8080)
    server.delete("Service", "cart")
    followed.until(lambda it: "Service shop/cart" not in it.names())
    assert followed.said() == []
    assert [each.condition for each in followed.source.status()] == ["Synced"] * 3
    assert followed.kinds()["Service"].lists == 1
    assert set(server.tokens) == {"Bearer secret-token"}


def test_lists_come_in_pages_and_pods_without_those_that_failed(server: Small, follow: Follow) -> None:
    server.page = 2
    for each in range(5):
        server.apply("Service", f"s{each}", **service())
    followed = follow()
    followed.until(lambda it: it.source.synced)
    assert followed.names() == [f"Service shop/s{each}" for each in range(5)]
    pods = [query for path, query in server.asked if path.endswith("/pods")]
    assert {query["fieldSelector"] for query in pods} == {"status.phase!=Failed"}


def test_a_watch_that_ends_goes_on_where_it_was(server: Small, follow: Follow) -> None:
    server.apply("Service", "catalog", **service())
    followed = follow()
    followed.until(lambda it: it.source.synced)
    server.apply("Service", "cart", **service())
    followed.until(lambda it: "Service shop/cart" in it.names())
    server.end_watches()
    server.apply("Service", "payment", **service())
    followed.until(lambda it: "Service shop/payment" in it.names())
    assert followed.kinds()["Service"].lists == 1
    assert followed.kinds()["Service"].watches >= 2


def test_a_point_that_was_forgotten_is_a_list_again(server: Small, follow: Follow) -> None:
    server.apply("Service", "catalog", **service())
    server.apply("Service", "cart", **service())
    followed = follow()
    followed.until(lambda it: it.source.synced)
    kept = followed.object("Service shop/catalog")
    server.delete("Service", "cart", told=False)
    server.apply("Service", "payment", **service())
    server.forget()
    followed.until(lambda it: it.names() == ["Service shop/catalog", "Service shop/payment"])
    assert followed.object("Service shop/catalog") is kept
    assert followed.kinds()["Service"].lists == 2
    assert dict(followed.kinds()["Service"].restarts) == {"Expired": 1}


def test_status_that_means_nothing_is_no_change(server: Small, follow: Follow) -> None:
    server.apply("Service", "catalog", **service())
    followed = follow()
    followed.until(lambda it: it.source.synced)
    kept = followed.object("Service shop/catalog")
    server.apply("Service", "catalog", metadata={"managedFields": [{}]}, **service())
    server.apply("Service", "later", **service())
    followed.until(lambda it: "Service shop/later" in it.names())
    assert followed.object("Service shop/catalog") is kept


def test_an_object_at_fault_is_named_and_keeps_what_it_said(server: Small, follow: Follow) -> None:
    server.apply("VirtualService", "catalog", **route())
    server.apply("VirtualService", "bad", **route(htpp=[]))
    followed = follow()
    followed.until(lambda it: it.source.synced and it.said())
    (said,) = followed.said()
    assert said.startswith("VirtualService shop/bad: spec.htpp unknown field"), said
    assert followed.names() == ["VirtualService shop/catalog"]
    server.apply("VirtualService", "catalog", **route(hosts=7))
    followed.until(lambda it: len(it.said()) == 2)
    assert followed.object("VirtualService shop/catalog").spec.hosts == ("catalog",)
    assert followed.kinds()["VirtualService"].refused == 2
    server.apply("VirtualService", "catalog", **route("cart"))
    server.delete("VirtualService", "bad")
    followed.until(lambda it: not it.said())
    assert followed.object("VirtualService shop/catalog").spec.hosts == ("cart",)


def test_kinds_that_are_not_served_are_named_and_followed_once_they_are(server: Small, follow: Follow) -> None:
    server.missing = {"virtualservices"}
    server.apply("Service", "catalog", **service())
    followed = follow()
    followed.until(lambda it: it.source.synced)
    assert followed.names() == ["Service shop/catalog"]
    assert followed.kinds()["VirtualService"].condition == "Missing"
    assert [str(each) for each in followed.loaded.notes] == [
        "networking.istio.io: is not served by this cluster (Missing): VirtualService"
    ]
    server.apply("VirtualService", "catalog", **route())
    server.missing = set()
    followed.until(lambda it: "VirtualService shop/catalog" in it.names())
    assert followed.loaded.notes == ()
    server.missing = {"virtualservices"}
    server.starting = True  # it has just begun: what it does not know yet is not gone
    server.end_watches()
    asked = len(server.asked)
    server.apply("Service", "cart", **service())
    followed.until(lambda it: "Service shop/cart" in it.names())
    while sum(path == "/readyz" for path, _ in server.asked[asked:]) < 2:
        threading.Event().wait(0.01)
    assert "VirtualService shop/catalog" in followed.names()
    server.starting = False
    followed.until(lambda it: "VirtualService shop/catalog" not in it.names())


def test_without_permission_nobody_is_served_and_later_the_rest_goes_on(server: Small, follow: Follow) -> None:
    server.codes = {"virtualservices": 403}
    server.apply("Service", "catalog", **service())
    followed = follow()
    followed.until(lambda it: it.kinds()["VirtualService"].condition == "Forbidden" and it.names())
    assert not followed.source.synced
    assert followed.said() == ["VirtualService: cannot be read (Forbidden): virtualservices is not to be read by you"]
    server.codes = {}
    server.apply("VirtualService", "catalog", **route())
    followed.until(lambda it: it.source.synced and not it.said())
    server.codes = {"virtualservices": 403}
    server.end_watches()
    server.apply("Service", "cart", **service())
    followed.until(lambda it: it.said() and "Service shop/cart" in it.names())
    assert followed.source.wait_synced(0)
    assert "VirtualService shop/catalog" in followed.names(), "what was read stays"


@pytest.mark.parametrize(
    ("code", "condition"), [(401, "Unauthorized"), (429, "Failing"), (500, "Failing"), (503, "Failing")]
)
def test_an_answer_that_is_an_error_is_a_condition(server: Small, follow: Follow, code: int, condition: str) -> None:
    server.codes = {"pods": code}
    followed = follow(kinds=("Pod", "Service"))
    followed.until(lambda it: it.kinds()["Pod"].condition == condition and it.kinds()["Service"].synced)
    assert followed.said() == [f"Pod: cannot be read ({condition}): pods is not to be read by you"]
    server.codes = {}
    followed.until(lambda it: it.source.synced and not it.said())


def test_a_watch_in_which_nothing_comes_is_opened_again(server: Small, follow: Follow) -> None:
    server.silent = {"services"}
    followed = follow(kinds=("Service",), pace=replace(QUICK, silence_s=0.3))
    followed.until(lambda it: dict(it.kinds()["Service"].restarts).get("Stale"))
    server.silent = set()
    server.apply("Service", "catalog", **service())
    followed.until(lambda it: "Service shop/catalog" in it.names())


@pytest.mark.parametrize("line", [b"{nonsense}\n", b"[]\n"])
def test_what_is_no_json_is_asked_for_again(server: Small, follow: Follow, line: bytes) -> None:
    server.raw = {"services": line}
    server.apply("Service", "catalog", **service())
    followed = follow(kinds=("Service",))
    followed.until(lambda it: dict(it.kinds()["Service"].restarts) == {"Malformed": 1})
    followed.until(lambda it: it.source.synced and not it.said())
    server.apply("Service", "cart", **service())
    followed.until(lambda it: "Service shop/cart" in it.names())


def test_an_api_server_that_nobody_reaches_is_said_once(server: Small, follow: Follow) -> None:
    api = server.api
    server.end()
    followed = follow()
    followed.until(lambda it: all(each.condition == "Unreachable" for each in it.source.status()))
    (fault,) = followed.loaded.faults
    assert str(fault) == f"{api.url}: is not reached (Unreachable): Connection refused"
    assert not followed.source.wait_synced(0)


def test_what_is_not_read_cannot_be_left_out(server: Small) -> None:
    with pytest.raises(ValueError, match="Deployment, Nonsense: no kind that is read"):
        KubernetesSource(server.api, without=["Nonsense", "Deployment"])


def test_a_place_that_is_the_object_is_said_once() -> None:
    from proxyless.xds.controlplane.objects import Place, Ref

    fault = Fault(Place("Pod shop/a"), "is wrong", Ref("Pod", "shop", "a"), "spec")
    assert str(fault) == "Pod shop/a: spec is wrong"
