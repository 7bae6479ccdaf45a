"""Probes that are asked at the listener of `proxyless.probes`: its own reader takes what is written."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from proxyless.injecting.probes import VARIABLE, ProbeError, rewritten

CONTAINER: dict[str, Any] = {
    "name": "app",
    "ports": [{"name": "http", "containerPort": 8080}],
    "livenessProbe": {
        "httpGet": {"path": "/live", "port": "http", "httpHeaders": [{"name": "a", "value": "b"}]},
        "timeoutSeconds": 3,
        "periodSeconds": 7,
    },
    "readinessProbe": {"tcpSocket": {"port": 9000}},
    "startupProbe": {"exec": {"command": ["true"]}},
}


def test_they_name_the_path_that_istios_injector_gives_them() -> None:
    container = copy.deepcopy(CONTAINER)
    said = json.loads(rewritten(container, 15020))
    assert said == {
        "/app-health/app/livez": {"httpGet": {"path": "/live", "port": 8080}, "timeoutSeconds": 3},
        "/app-health/app/readyz": {"tcpSocket": {"port": 9000}},
    }
    headers = [{"name": "a", "value": "b"}]
    assert container["livenessProbe"] == {
        "httpGet": {"path": "/app-health/app/livez", "port": 15020, "httpHeaders": headers},
        "timeoutSeconds": 3,
        "periodSeconds": 7,
    }
    assert container["readinessProbe"] == {"httpGet": {"path": "/app-health/app/readyz", "port": 15020}}
    assert container["startupProbe"] == CONTAINER["startupProbe"]
    container["env"] = [{"name": VARIABLE, "value": json.dumps(said)}]
    again = copy.deepcopy(container)
    assert json.loads(rewritten(again, 15020)) == said
    assert again == container


def test_without_a_readiness_probe_the_mesh_is_asked_whether_it_is_ready() -> None:
    container: dict[str, Any] = {"name": "app"}
    assert rewritten(container, 15020) == ""
    assert container["readinessProbe"] == {"httpGet": {"path": "/healthz/ready", "port": 15020}, "periodSeconds": 2}
    assert rewritten(container, 15020) == "", "it is the listener's own"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"livenessProbe": {"httpGet": {"path": "/", "port": "web"}}},
            "livenessProbe: the container has no port 'web'",
        ),
        ({"livenessProbe": {"grpc": {}}}, "livenessProbe names no port"),
        ({"env": [{"name": VARIABLE, "value": "{"}]}, f"{VARIABLE} is not JSON"),
    ],
)
def test_what_cannot_be_asked_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ProbeError) as error:
        rewritten({**copy.deepcopy(CONTAINER), **change}, 15020)
    assert str(error.value) == said
