"""What the leader writes: root certificates, the webhook's roots, the status of routes; and how a duty stands."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from proxyless.controller.duties import Duties, DutyStatus, Rhythm
from proxyless.controller.objects import CONDITION, ObjectStatuses
from proxyless.controller.publishing import RootCertificates, WebhookRoots
from proxyless.controller.statuses import RouteStatuses
from proxyless.xds.controlplane.apiserver import ApiError
from proxyless.xds.controlplane.objects import Fault, Place, Ref
from proxyless.xds.controlplane.registry.world import World
from tests.xds.controlplane.authority.support import Clock
from tests.xds.controlplane.emit.gateway import PARENT, SERVICES, http
from tests.xds.controlplane.source.api_server import Small
from tests.xds.controlplane.support import world
from tests.xds.controlplane.test_admission import of

NAMES = "".join(
    f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n" for name in ("shop", "kube-public")
)
MAP = "istio-ca-root-cert"


@pytest.fixture
def server() -> Iterator[Small]:
    made = Small()
    yield made
    made.end()


def test_every_namespace_has_the_root(server: Small) -> None:
    roots = [b"one"]
    duty = RootCertificates(server.api, MAP, lambda: roots[0])
    duty.perform(world(NAMES))
    held = server.objects["configmaps"]
    assert held.keys() == {f"shop/{MAP}"}
    assert held[f"shop/{MAP}"]["data"] == {"root-cert.pem": "one"}
    assert held[f"shop/{MAP}"]["metadata"]["labels"] == {"istio.io/config": "true"}
    duty.perform(world(NAMES))
    assert duty.written == 1
    roots[0] = b"two"
    duty.perform(world(NAMES + NAMES.replace("shop", "bank")))
    assert {key: each["data"]["root-cert.pem"] for key, each in held.items()} == {
        f"shop/{MAP}": "two",
        f"bank/{MAP}": "two",
    }
    del held[f"bank/{MAP}"]
    duty.forget()
    duty.perform(world(NAMES + NAMES.replace("shop", "bank")))
    assert f"bank/{MAP}" in held, "one that was deleted comes back"


def test_a_namespace_that_may_not_be_written_to_is_said_after_the_others(server: Small) -> None:
    server.codes = {"configmaps": 403}
    with pytest.raises(ApiError) as error:
        RootCertificates(server.api, MAP, lambda: b"x").perform(world(NAMES))
    assert error.value.reason == "Forbidden"


def test_the_webhooks_configuration_has_the_root(server: Small) -> None:
    hooks = [{"name": "a", "clientConfig": {"url": "https://a"}, "failurePolicy": "Fail"}]
    duty = WebhookRoots(server.api, "validator", lambda: b"root")
    with pytest.raises(ApiError) as error:
        duty.perform(world(""))
    assert error.value.reason == "Missing"
    key = "/validator"
    server.objects["validatingwebhookconfigurations"] = {
        key: {"metadata": {"name": "validator", "resourceVersion": "1"}, "webhooks": hooks}
    }
    duty.perform(world(""))
    (hook,) = server.objects["validatingwebhookconfigurations"][key]["webhooks"]
    assert base64.b64decode(hook["clientConfig"]["caBundle"]) == b"root"
    assert (hook["clientConfig"]["url"], hook["failurePolicy"]) == ("https://a", "Fail")
    duty.forget()
    duty.perform(world(""))
    assert duty.written == 1


OTHERS = {"parentRef": {"name": "edge"}, "controllerName": "istio.io/gateway-controller", "conditions": []}


def routes(server: Small, text: str, generation: int = 1) -> World:
    """The mesh with a route, which the API server has, too."""
    value = of(text)
    name = value["metadata"]["name"]
    held = server.objects.get("httproutes", {}).get(f"shop/{name}", {}).get("status", {})
    server.apply("HTTPRoute", name, metadata={"generation": generation}, spec=value["spec"], status=held)
    return world(SERVICES + text)


def parents(server: Small, name: str = "web") -> list[dict[str, Any]]:
    return list(server.objects["httproutes"][f"shop/{name}"].get("status", {}).get("parents", []))


def conditions(entry: dict[str, Any]) -> dict[str, tuple[str, str, int]]:
    return {each["type"]: (each["status"], each["reason"], each["observedGeneration"]) for each in entry["conditions"]}


def test_a_route_is_told_that_it_is_taken_and_what_is_missing(server: Small) -> None:
    clock = Clock()
    duty = RouteStatuses(server.api, now=clock)
    text = http("backendRefs: [{name: v2, port: 80}]")
    name = of(text)["metadata"]["name"]
    mesh = routes(server, text)
    server.objects["httproutes"][f"shop/{name}"]["status"] = {"parents": [OTHERS]}
    duty.perform(mesh)
    others, mine = parents(server, name)
    assert others == OTHERS
    assert mine["controllerName"] == "proxyless.dev/controller"
    assert mine["parentRef"]["kind"] == "Service"
    assert conditions(mine) == {"Accepted": ("True", "Accepted", 1), "ResolvedRefs": ("True", "ResolvedRefs", 1)}
    duty.forget()
    duty.perform(mesh)
    assert duty.written == 1, "what is right is not written again"
    clock.now += 60
    broken = http("backendRefs: [{name: gone, port: 80}]")
    duty.perform(routes(server, broken, generation=2))
    mine = parents(server, name)[-1]
    assert conditions(mine) == {"Accepted": ("True", "Accepted", 2), "ResolvedRefs": ("False", "BackendNotFound", 2)}
    accepted, resolved = mine["conditions"]
    assert accepted["lastTransitionTime"] < resolved["lastTransitionTime"]
    assert "gone.shop.svc.cluster.local is no service" in resolved["message"]


def test_a_parent_that_does_not_exist_is_not_accepted_and_one_that_is_gone_is_taken_out(server: Small) -> None:
    duty = RouteStatuses(server.api, "example.com/mesh", now=Clock())
    text = http("backendRefs: [{name: v2, port: 80}]", parent=PARENT.replace("web", "none"))
    name = of(text)["metadata"]["name"]
    duty.perform(routes(server, text))
    (mine,) = parents(server, name)
    assert conditions(mine)["Accepted"] == ("False", "NoMatchingParent", 1)
    duty.perform(routes(server, http("backendRefs: [{name: v2, port: 80}]"), generation=2))
    (mine,) = parents(server, name)
    assert conditions(mine)["Accepted"] == ("True", "Accepted", 2)


def test_an_older_view_writes_nothing_about_a_newer_object(server: Small) -> None:
    duty = RouteStatuses(server.api, now=Clock())
    mesh = routes(server, http("backendRefs: [{name: v2, port: 80}]"))
    routes(server, http("backendRefs: [{name: gone, port: 80}]"), generation=2)
    duty.perform(mesh)
    assert server.wrote == []


REF = Ref("VirtualService", "shop", "x")


def refused(server: Small) -> dict[str, str]:
    """The condition of the one object, without its time."""
    status = server.objects["virtualservices"]["shop/x"].get("status") or {}
    (found,) = [each for each in status.get("conditions", []) if each["type"] == CONDITION] or [{}]
    return {key: value for key, value in found.items() if key in ("status", "reason", "message")}


def test_an_object_that_is_refused_says_why_until_it_is_taken(server: Small) -> None:
    faults = [Fault(Place(str(REF)), "must be a list", REF, "spec.hosts"), Fault(Place("Service"), "no right")]
    other = {"type": "Reconciled", "status": "True"}
    server.apply(
        "VirtualService", "x", spec={}, status={"conditions": [other], "validationMessages": [{"level": "INFO"}]}
    )
    server.apply("VirtualService", "y", spec={})
    server.missing = {"sidecars"}

    def duty() -> ObjectStatuses:
        return ObjectStatuses(server.api, lambda: tuple(faults), now=Clock(), clock=Clock(0.0))

    first = duty()
    for _ in range(2):
        first.perform(world(""))
    first.forget()
    first.perform(world(""))
    assert first.written == 1
    assert refused(server) == {"status": "False", "reason": "Refused", "message": "spec.hosts must be a list"}
    status = server.objects["virtualservices"]["shop/x"]["status"]
    assert status["conditions"][0] == other
    assert status["validationMessages"] == [{"level": "INFO"}]
    faults.clear()
    another = duty()  # that has not written it
    for _ in range(2):
        another.perform(world(""))
    assert another.written == 1
    assert refused(server) == {"status": "True", "reason": "Accepted", "message": "the control plane takes it"}
    assert "status" not in server.objects["virtualservices"]["shop/y"]


def test_an_object_that_may_not_be_written_or_is_gone_holds_up_no_other(server: Small) -> None:
    gone = Ref("VirtualService", "shop", "gone")
    faults = tuple(Fault(Place(str(each)), "is wrong", each) for each in (gone, REF))
    server.apply("VirtualService", "x", spec={})
    duty = ObjectStatuses(server.api, lambda: faults, now=Clock(), clock=Clock(0.0))
    duty.perform(world(""))
    assert refused(server)["status"] == "False"
    server.codes = {"virtualservices": 403}
    duty.forget()
    with pytest.raises(ApiError) as error:
        duty.perform(world(""))
    assert error.value.reason == "Forbidden"


class Told:
    """A leader, and a duty that fails or not, as it is told."""

    name = "told"
    written = 0

    def __init__(self) -> None:
        self.leading = True
        self.error: Exception | None = None
        self.done = 0
        self.forgotten = 0

    def perform(self, world: World) -> None:
        del world
        self.done += 1
        if self.error is not None:
            raise self.error

    def forget(self) -> None:
        self.forgotten += 1


def test_a_duty_is_done_when_the_mesh_changes_and_again_once_in_a_while() -> None:
    told, clock, mesh = Told(), Clock(0.0), [world("")]
    duties = Duties(told, [told], lambda: mesh[0], clock=clock, rhythm=Rhythm(again_s=60.0))
    told.leading = False
    duties.step()
    assert duties.status() == (DutyStatus("told", "Waiting", "", 0),)
    told.leading = True
    duties.step()
    duties.step()
    assert (told.done, duties.status()[0].condition) == (1, "Done")
    mesh[0] = world("")
    duties.step()
    assert told.done == 2
    clock.now += 61
    forgotten = told.forgotten
    duties.step()
    assert (told.done, told.forgotten) == (3, forgotten + 1)
    told.leading = False
    duties.step()
    assert duties.status()[0].condition == "Waiting"
    told.leading = True
    duties.step()
    assert told.done == 4, "whoever leads anew believes nothing of before"


def test_a_duty_that_fails_is_named_and_tried_again_later_and_later() -> None:
    told, clock = Told(), Clock(0.0)
    mesh = world("")
    duties = Duties(told, [told], lambda: mesh, clock=clock, rhythm=Rhythm(first_s=1.0))
    told.error = ApiError("Forbidden", "you may not")
    for moment, done in ((0.0, 1), (0.5, 1), (1.0, 2), (2.0, 2), (3.0, 3)):
        clock.now = moment
        duties.step()
        assert told.done == done, moment
    assert duties.status()[0] == DutyStatus("told", "Forbidden", "you may not", 0)
    told.error = RuntimeError("?")
    clock.now = 10.0
    duties.step()
    assert duties.status()[0].condition == "Failing"
    told.error = None
    clock.now = 60.0
    duties.step()
    assert duties.status()[0].condition == "Done"
