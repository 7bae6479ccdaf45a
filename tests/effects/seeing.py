"""Ways to look at a scene. Each makes a function of the scene; its values are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from proxyless.governance.actions import Send
from tests.support.world import Answer, Steps, outcome

from .scene import Headers, Scene

See = Callable[[Scene], Any]


def explained(*keys: str, url: str = "http://shop/a", method: str = "GET", headers: Headers = ()) -> See:
    """What `explain` says under a key, or under several."""

    def see(scene: Scene) -> Any:
        found = scene.explain(url, method, headers)
        return found[keys[0]] if len(keys) == 1 else tuple(found[each] for each in keys)

    return see


def each_of(key: str, *requests: str | dict[str, Any]) -> See:
    """What `explain` says under a key of several requests: paths, or arguments of `Scene.explain`."""

    def see(scene: Scene) -> Any:
        asked = ({"url": f"http://shop{each}"} if isinstance(each, str) else each for each in requests)
        return [scene.explain(**each)[key] for each in asked]

    return see


def matched(**request: Any) -> See:
    """Whether the first route takes a request."""
    return lambda scene: scene.explain(**{"url": "http://shop/a", **request})["route_index"] == 0


def sent(name: str, url: str = "http://shop/a", **request: Any) -> See:
    """The values of a header as it goes out."""
    return lambda scene: [v for n, v in scene.explain(url, **request)["request_headers"] if n == name]


def answered(name: str, url: str = "http://shop/a", answers: Iterable[Any] = (200,), **request: Any) -> See:
    """The values of a header as the caller gets it."""

    def see(scene: Scene) -> list[bytes]:
        run = scene.call(url, answers, **request)
        headers = run.reply.headers if run.reply is not None else run.head.headers if run.head is not None else ()
        return [value for key, value in headers if key.lower() == name.encode()]

    return see


def tried(answers: Iterable[Answer], url: str = "http://shop/a", **request: Any) -> See:
    """Attempts, status and flags of a call whose tries end like this; what the call does not need is left over."""

    def see(scene: Scene) -> tuple[int, int, str]:
        steps = drive(scene, answers, url, **request)
        return len(steps.sent()), steps.status, steps.flags

    return see


def drive(scene: Scene, answers: Iterable[Answer], url: str = "http://shop/a", **request: Any) -> Steps:
    """A call driven from a script of answers that may be longer than it needs."""
    steps = scene.world.steps(url, **request)
    script = iter(answers)
    while steps.until(Send) is not None:
        steps.answer(outcome(next(script), steps.wants(Send)))
    return steps


def picks(count: int = 12, **request: Any) -> See:
    """The endpoints that calls to a cluster go to, one after the other, finished."""

    def see(scene: Scene) -> list[str]:
        return [scene.explain(**{"url": "http://shop/a", **request})["endpoint"] for _ in range(count)]

    return see


def spread(count: int = 200, **request: Any) -> See:
    """How many of so many calls each endpoint gets."""

    def see(scene: Scene) -> dict[str, int]:
        found = [str(scene.explain(**{"url": "http://shop/a", **request})["endpoint"]) for _ in range(count)]
        return {each: found.count(each) for each in sorted(set(found))}

    return see


def received(*attributes: str, **request: Any) -> See:
    """The status, and attributes, of an incoming request (0: it is let through)."""

    def see(scene: Scene) -> Any:
        found = scene.receive(**request)
        return (found.status, *(getattr(found, each) for each in attributes)) if attributes else found.status

    return see


def statuses(count: int, step_s: float = 0.0, **request: Any) -> See:
    """The statuses of incoming requests, one after the other, `step_s` apart (0: let through)."""

    def see(scene: Scene) -> list[int]:
        found = []
        for _ in range(count):
            found.append(scene.receive(**request).status)
            scene.world.clock.advance(step_s)
        return found

    return see


def refusals(scene: Scene) -> dict[str, str]:
    """What is refused, and why."""
    return scene.refused


def asked(url: str = "http://shop/a") -> See:
    """What a call asks the control plane for."""

    def see(scene: Scene) -> list[tuple[str, tuple[str, ...]]]:
        scene.explain(url)
        return [(type_.message, names) for type_, names in scene.world.asked]

    return see


def both(*ways: See) -> See:
    """Several looks at one scene, one after the other."""
    return lambda scene: [way(scene) for way in ways]
