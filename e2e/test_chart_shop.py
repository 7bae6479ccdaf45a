"""The shop's chart: linted and rendered by the real helm, its objects checked, its pods read by the real bootstrap."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from e2e.charts import (
    CHARTS,
    FIELDS,
    Object,
    arguments,
    container_environment,
    has_little_power,
    mount,
    of_kind,
    rendered,
    run,
    values_files,
)
from e2e.tools import promtool
from proxyless.demo import load_job, service, trial
from proxyless.demo.admin import Admin
from proxyless.demo.counting import Counters
from proxyless.xds.controlplane import check
from proxyless.xds.identity.environment import from_environment

CHART = "proxyless-shop"
FILES = CHARTS / CHART / "files"
EMBEDDED = ("--values", CHARTS / CHART / "ci" / "embedded-values.yaml")
SMALL = ("--values", CHARTS / CHART / "ci" / "small-values.yaml")


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return rendered(CHART)


def pods(objects: list[Object]) -> dict[str, Object]:
    return {name: each["spec"]["template"] for name, each in of_kind(objects, "Deployment").items()}


def test_helm_finds_nothing_to_complain_about() -> None:
    for path in values_files(CHART):
        options = ("--values", path) if path else ()
        assert "0 chart(s) failed" in run("lint", "--strict", CHARTS / CHART, *options).stdout


@pytest.mark.parametrize("options", [(), EMBEDDED, SMALL], ids=["as it is", "embedded", "small"])
def test_check_finds_no_error_in_its_rules_and_every_field_has_an_effect(
    options: tuple[object, ...], tmp_path: Path
) -> None:
    found = [
        each for each in rendered(CHART, *options) if "istio.io" in each["apiVersion"] or each["kind"] == "Service"
    ]
    named = [{**each, "metadata": {"namespace": "shop", **each["metadata"]}} for each in found]
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump_all(named))
    # Nothing runs yet, so no Service has endpoints and no selector selects.
    waiting = ("has no endpoints", "no workload")
    assert not [str(each) for each in check(tmp_path) if not any(said in each.message for said in waiting)]


def test_the_bootstrap_understands_every_pod(objects: list[Object], tmp_path: Path) -> None:
    for name, template in pods(objects).items():
        mount(template, tmp_path)
        bootstrap = from_environment(container_environment(template), tmp_path)
        assert bootstrap.address == "istiod.istio-system.svc:15012"
        assert not bootstrap.warnings
        assert bootstrap.node.app == template["metadata"]["labels"]["app"]
        assert bootstrap.node.message()["metadata"]["WORKLOAD_NAME"] == name


def test_the_service_understands_its_arguments(objects: list[Object]) -> None:
    for name, template in pods(objects).items():
        container = template["spec"]["containers"][0]
        assert container["command"] == ["python", "-m", service.__spec__.name]
        options = service.parse(arguments(template))
        labels = template["metadata"]["labels"]
        assert (options.app, options.version) == (labels["app"], labels["version"])
        assert options.name == FIELDS["metadata.name"]
        assert options.fails is (name == "cart-v2")
        assert not options.mtls
        has_little_power(template)


def test_ports_are_those_that_the_service_listens_on() -> None:
    objects = rendered(CHART, "--set", "proxyless.port=8181,proxyless.metrics.port=9191")
    template = pods(objects)["cart-v1"]
    ports = {each["name"]: each["containerPort"] for each in template["spec"]["containers"][0]["ports"]}
    options = service.parse(arguments(template))
    assert options.listen == ("0.0.0.0", ports["http"]) == ("0.0.0.0", 8181)
    assert options.admin == ("0.0.0.0", ports["http-metrics"]) == ("0.0.0.0", 9191)
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "9191"
    services = of_kind(objects, "Service").values()
    assert {port["targetPort"] for each in services for port in each["spec"]["ports"]} == {8181}


def test_probes_and_annotations_lead_to_what_the_service_serves(objects: list[Object]) -> None:
    template = pods(objects)["catalog-v1"]
    container = template["spec"]["containers"][0]
    probes = [container[name]["httpGet"] for name in ("readinessProbe", "livenessProbe")]
    assert {each["port"] for each in probes} == {"http-metrics"}
    paths = [each["path"] for each in probes] + [template["metadata"]["annotations"]["prometheus.io/path"]]
    admin = Admin("127.0.0.1", 0, Counters(), lambda: True)
    try:
        assert [admin.get(path)[0] for path in paths] == [200, 200, 200]
    finally:
        admin.close()


def test_every_service_has_an_account_and_workloads(objects: list[Object]) -> None:
    apps = {each["spec"]["selector"]["app"] for each in of_kind(objects, "Service").values()}
    assert apps == of_kind(objects, "Service").keys()
    assert of_kind(objects, "ServiceAccount").keys() == apps | {"load", "trial"}
    assert of_kind(objects, "VirtualService").keys() == {"catalog", "cart"}


def test_its_own_control_plane_comes_with_it_and_is_followed() -> None:
    objects = rendered(CHART, *EMBEDDED)
    controller = pods(objects).pop("proxyless-controller")
    assert "--root-namespace=shop" in controller["spec"]["containers"][0]["args"]
    template = pods(objects)["payment-v1"]
    address = json.loads(container_environment(template)["PROXY_CONFIG"])["discoveryAddress"]
    assert address == "proxyless-controller.shop.svc:15012"
    assert f"--server-name={address.partition(':')[0]}" in controller["spec"]["containers"][0]["args"]
    assert service.parse(arguments(template)).mtls
    assert template["metadata"]["labels"]["security.istio.io/tlsMode"] == "istio"
    elsewhere = rendered(CHART, "--set", "controlPlane=embedded,controllerNamespace=mesh")
    assert "proxyless-controller.mesh.svc:15012" in container_environment(pods(elsewhere)["cart-v1"])["PROXY_CONFIG"]


def test_the_load_and_the_trials_understand_their_arguments(objects: list[Object]) -> None:
    (job,) = of_kind(objects, "Job").values()
    options = load_job.parse(arguments(job["spec"]["template"]))
    assert (options.base, options.paths) == ("http://storefront:80", ["/", "/items", "/cart"])
    has_little_power(job["spec"]["template"])
    tests = of_kind(objects, "Pod")
    assert tests.keys() == {"trial-canary", "trial-breaker", "trial-ratelimit"}
    for name, pod in tests.items():
        container = pod["spec"]["containers"][0]
        assert container["command"][:3] == ["python", "-m", trial.__spec__.name]
        said = trial.parse([*container["command"][3:], *container["args"]])
        assert (said.trial, said.namespace) == (name.removeprefix("trial-"), "shop")
        assert (said.port, said.admin) == (8080, 15020)
        assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
        has_little_power(pod)
    canary = tests["trial-canary"]["spec"]["containers"][0]
    assert dict(trial.parse([*canary["command"][3:], *canary["args"]]).share) == {"v1": 80, "v2": 20}
    assert not {"Job", "Pod"} & {each["kind"] for each in rendered(CHART, *SMALL)}


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("proxyless.controlPlane.address=nowhere", "does not match pattern"),
        ("workloads.catalog-v1.service=unknown", "must be one of"),
        ("proxyless.port=99999", "maximum"),
        ("typo=1", "additional properties 'typo' not allowed"),
        ("proxyless-controller.enabled=true", "value must be false"),
        ("controlPlane=both", "must be one of"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(option: str, text: str) -> None:
    assert text in run("template", "shop", CHARTS / CHART, "--set", option, ok=False).stderr.lower()


def test_promtool_takes_the_alerts_and_what_the_dashboard_asks(tmp_path: Path) -> None:
    panels = json.loads((FILES / "dashboard.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    filled = [re.sub(r"\$__rate_interval", "5m", each).replace("$namespace", "shop") for each in asked]
    rules = [{"record": f"asked:{number}", "expr": each} for number, each in enumerate(filled)]
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    alerts = [FILES / "alerts.yaml", CHARTS / "proxyless-controller" / "files" / "alerts.yaml"]
    command = [promtool(), "check", "rules", tmp_path / "asked.yaml", *alerts]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_are_to() -> None:
    command = [promtool(), "test", "rules", str(Path(__file__).parent / "alerts" / "shop.yaml")]
    command.append(str(Path(__file__).parent / "alerts" / "controller.yaml"))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
