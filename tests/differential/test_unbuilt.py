"""What is taken out of the recordings before they are compared is named by `explain`, on each route that has it."""

from __future__ import annotations

from collections.abc import Iterator

from proxyless.cli.explain import explain_one
from tests.differential import unbuilt
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.steering import places, steer


def _unbuilt(route: Resource) -> Iterator[str]:
    for name in unbuilt.ACTION:
        if name in route.get("route", {}):
            yield f"route.{name}"


def test_explain_names_all_that_is_left_out(frontend: Recording) -> None:
    left_out = set()
    with mesh_on(frontend) as mesh:
        for (place, _, route), request in zip(places(frontend), steer(frontend, 1, 1), strict=True):
            line = {"method": request.method, "url": request.url, "headers": [list(each) for each in request.headers]}
            document, _ = explain_one(mesh, line, None, "127.0.0.1")
            assert document["route_index"] == place.index
            named = [note["field"] for note in document["not_honoured"]]
            for field in _unbuilt(route):
                assert any(field in each for each in named), (str(place), field)
                left_out.add(field)
    assert len(left_out) == len(unbuilt.ACTION)


def test_nothing_of_it_is_left_in_what_is_compared(frontend: Recording) -> None:
    stripped = unbuilt.without_unbuilt(frontend)
    assert not [field for _, _, route in places(stripped) for field in _unbuilt(route)]
