"""What proxyless names instead of doing it, until the issue "Every decision Envoy would make".

It is taken out of a recording before both sides get it, so that everything else on the same routes is compared;
`test_unbuilt.py` holds that each is named.
"""

from __future__ import annotations

import copy

from tests.differential.recording import Recording, Resource

ACTION = ("request_mirror_policies",)
"""Mirrors are more arrivals."""


def without_unbuilt(recording: Recording) -> Recording:
    """A copy without mirrors."""
    result = copy.deepcopy(recording)
    for table in result.routes.values():
        for host in table.get("virtual_hosts", ()):
            for route in host.get("routes", ()):
                _strip(route)
    return result


def _strip(route: Resource) -> None:
    for name in ACTION:
        route.get("route", {}).pop(name, None)
