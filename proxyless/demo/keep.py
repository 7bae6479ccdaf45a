"""`--keep`: the shop goes on until Ctrl-C; what ends is started again, as Kubernetes would."""

from __future__ import annotations

import time
from collections.abc import Callable

from .control import Load
from .run import CONTROL_PLANE, LOAD, Demo

AGAIN_S = 5.0
"""How long a process that ended stays away: long enough to see how the mesh goes on without it."""

LOOK_S = 0.2
TOGETHER = 1
PAUSE_S = 0.5


def told(demo: Demo) -> str:
    """What there is, and what to try."""
    front = demo.storefront
    width = max(len(each.name) for each in demo.instances)
    services = [
        f"  {each.name:<{width}}  pid {demo.processes[each.name].pid:<8} {each.url}  {each.admin_url}/metrics"
        for each in demo.instances
    ]
    pid = demo.processes[front.name].pid
    return "\n".join(
        [
            f"storefront     {front.url}",
            f"control plane  {demo.xds}  pid {demo.processes[CONTROL_PLANE].pid}",
            f"folder         {demo.folder}   (edit a file: it is in force at once)",
            f"logs           {demo.directory}/*.log",
            "",
            "services: process, address, metrics",
            *services,
            "",
            "try",
            f"  curl -s {front.url}/items; curl -s -H 'x-user-group: internal' {front.url}/items",
            f"  curl -s -H 'x-user: alice' {front.url}/hello     # a few times",
            f"  proxyless status --pid {pid}",
            f"  proxyless explain GET http://catalog/items --count 1000 --xds {demo.xds} \\",
            f"    --app storefront --namespace shop --ip {front.host}",
            f"  kill -9 {demo.processes['cart-1'].pid}     # it is started again after {AGAIN_S:g} s",
            "",
            "Ctrl-C ends everything.",
        ]
    )


def restore(demo: Demo) -> None:
    """The files as they were shipped, and a little load, so that there is something to see."""
    for name, text in demo.intended.texts.items():
        demo.write(name, text)
    demo.load.steady("/", TOGETHER, PAUSE_S)


def supervise(demo: Demo, say: Callable[[str], None], going: Callable[[], bool] = lambda: True) -> None:
    """Until it is interrupted (or `going` says no)."""
    due: dict[str, float] = {}
    while going():
        for name, process in demo.processes.items():
            status = process.ended
            if status is None:
                continue
            if name not in due:
                say(f"{name} has ended (status {status}); it is started again in {AGAIN_S:g} s")
                due[name] = time.monotonic() + AGAIN_S
            elif time.monotonic() >= due[name]:
                del due[name]
                process.start()
                if name == LOAD:
                    demo.load = Load(process)
                    demo.load.listen()
                    demo.load.steady("/", TOGETHER, PAUSE_S)
                say(f"{name} is started again, pid {process.pid}")
        time.sleep(LOOK_S)
