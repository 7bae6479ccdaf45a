"""`proxyless inject` and the library chart make the same Pod: what the chart adds, taken out and injected again."""

from __future__ import annotations

import copy
import json

import yaml

from e2e.charts import Object, of_kind, rendered
from proxyless.injecting import Wanted, injected

OURS = ("istio-token", "istiod-ca-cert", "podinfo", "proxyless-cache", "tmp")
PROBERS = "ISTIO_KUBE_APP_PROBERS"


def bare(deployment: Object) -> Object:
    """The Deployment that somebody wrote who never heard of a mesh."""
    made = copy.deepcopy(deployment)
    template = made["spec"]["template"]
    for key in ("sidecar.istio.io/inject", "security.istio.io/tlsMode"):
        del template["metadata"]["labels"][key]
    del template["metadata"]["annotations"]
    (container,) = template["spec"]["containers"]
    asked = next(json.loads(each["value"]) for each in container["env"] if each["name"] == PROBERS)
    del container["env"]
    container["livenessProbe"]["httpGet"] = asked[container["livenessProbe"]["httpGet"]["path"]]["httpGet"]
    for of, key in ((template["spec"], "volumes"), (container, "volumeMounts")):
        of[key] = [each for each in of[key] if each["name"] not in OURS]
    return made


def sorted_pod(deployment: Object) -> Object:
    """Lists by name, JSON as what it says, ports of probes as numbers."""
    made = copy.deepcopy(deployment["spec"]["template"])
    made["spec"]["volumes"].sort(key=lambda each: str(each["name"]))
    for container in made["spec"]["containers"]:
        for key in ("env", "volumeMounts"):
            container[key].sort(key=lambda each: str(each["name"]))
        numbers = {each["name"]: each["containerPort"] for each in container["ports"]}
        for probe in ("livenessProbe", "readinessProbe"):
            port = container[probe]["httpGet"]["port"]
            container[probe]["httpGet"]["port"] = numbers.get(port, port)
        for each in container["env"]:
            if each["name"] in (PROBERS, "PROXY_CONFIG"):
                each["value"] = json.loads(each["value"])
    return made


def test_what_helm_adds_and_what_inject_adds_are_the_same() -> None:
    (deployment,) = of_kind(rendered("examples/own-deployment"), "Deployment").values()
    made = injected(yaml.safe_dump(bare(deployment)), Wanted(mtls=True, listener=15020))
    assert sorted_pod(yaml.safe_load(made.text)) == sorted_pod(deployment)
