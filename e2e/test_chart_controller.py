"""The chart of the controller: linted and rendered by the real helm; command line, rights and webhook as documented."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
import yaml
from cryptography import x509

from e2e.charts import CHARTS, Object, has_little_power, of_kind, rendered, run, values_files
from proxyless.cli.serve import command
from proxyless.xds.controlplane.authority.authority import Authority
from proxyless.xds.controlplane.authority.directory import Directory
from tests.docs.pages import blocks

CHART = "proxyless-controller"
EVERYTHING = ("--values", CHARTS / CHART / "ci" / "everything-values.yaml")
NOW = 1_800_000_000.0


def of_controller(*options: object) -> list[Object]:
    return rendered(CHART, *options, namespace="mesh")


def pod(objects: list[Object]) -> Object:
    (deployment,) = of_kind(objects, "Deployment").values()
    template: Object = deployment["spec"]["template"]
    return template


def said(template: Object) -> dict[str, Any]:
    """What `serve` makes of the container's command line."""
    container = template["spec"]["containers"][0]
    program, name, *options = [*container["command"], *container["args"]]
    assert (program, name) == ("proxyless", "serve")
    return command.make_context("serve", options).params


def rules(objects: list[Object]) -> list[tuple[str, str, str]]:
    """(group, resource, verb) of all roles."""
    return sorted(
        (group, resource, verb)
        for each in objects
        if each["kind"] in ("ClusterRole", "Role")
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def test_helm_finds_nothing_to_complain_about() -> None:
    for path in values_files(CHART):
        options = ("--values", path) if path else ()
        assert "0 chart(s) failed" in run("lint", "--strict", CHARTS / CHART, *options).stdout


def test_serve_understands_its_command_line() -> None:
    template = pod(of_controller())
    has_little_power(template)
    options = said(template)
    assert options["kubernetes"]
    assert options["token_review"]
    assert options["listen"] == "127.0.0.1:15010", "plaintext is for nobody unless it is asked for"
    assert options["root_namespace"] == "mesh"
    assert "proxyless-controller.mesh.svc" in options["server_name"]
    assert options["webhook_listen"] is None
    ports = {each["name"]: each["containerPort"] for each in template["spec"]["containers"][0]["ports"]}
    assert ports == {"tls-xds": 15012, "http-monitoring": 15014}
    assert options["tls_listen"] == "0.0.0.0:15012"
    assert options["status_listen"] == "0.0.0.0:15014"


def test_it_may_do_what_the_page_says_and_no_more() -> None:
    reads, writes = (list(yaml.safe_load_all(each.text)) for each in blocks("kubernetes", "yaml")[:2])
    reading = ("--set", "ca.publish=false,writeStatus=false")
    assert rules(of_controller(*reading)) == rules(reads)
    assert not said(pod(of_controller(*reading)))["publish_root"]
    everything = of_controller("--set", "webhook.enabled=true,writeRefusals=true")
    assert rules(everything) == sorted([*rules(reads), *rules(writes)])
    options = said(pod(everything))
    assert options["publish_root"] == "istio-ca-root-cert"
    assert options["webhook_config"] in of_kind(everything, "ValidatingWebhookConfiguration")
    assert options["write_status"]
    assert options["write_refusals"]


def test_everything_that_is_off_by_default_can_be_on() -> None:
    objects = of_controller(*EVERYTHING)
    options = said(pod(objects))
    assert options["listen"] == "0.0.0.0:15010"
    assert options["webhook_strict"]
    assert options["without"] == ("Node", "WasmPlugin", "TrafficExtension", "Gateway", "AuthorizationPolicy")
    assert {"istiod.mesh.svc", "istiod.example.org"} < set(options["server_name"])
    read = {resource for _, resource, verb in rules(objects) if verb == "list"}
    assert not read & {"nodes", "wasmplugins", "trafficextensions", "gateways", "authorizationpolicies"}
    assert {"pods", "telemetries", "virtualservices"} < read
    (mesh,) = [each for each in of_kind(objects, "ConfigMap").values() if each["metadata"]["name"] == "istio"]
    assert mesh["metadata"]["namespace"] == "istio-system"
    assert yaml.safe_load(mesh["data"]["mesh"])["trustDomain"] == "example.org"
    kinds = {each["kind"] for each in objects}
    assert {"NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "PrometheusRule"} < kinds
    (service,) = of_kind(objects, "Service").values()
    ports = {each["name"] for each in pod(objects)["spec"]["containers"][0]["ports"]}
    assert {each["targetPort"] for each in service["spec"]["ports"]} == ports


def test_the_webhook_is_the_one_of_its_page() -> None:
    (documented,) = [yaml.safe_load(each.text)["webhooks"][0] for each in blocks("webhook", "yaml")]
    (found,) = of_kind(of_controller("--set", "webhook.enabled=true"), "ValidatingWebhookConfiguration").values()
    (hook,) = found["webhooks"]
    documented["clientConfig"]["service"]["namespace"] = "mesh"
    assert hook == documented


def test_the_root_that_is_made_is_an_authority_and_is_published(tmp_path: Any) -> None:
    objects = of_controller("--set", "ca.publish=false,ca.publishTo={shop,bank}")
    (secret,) = of_kind(objects, "Secret").values()
    assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    for name, value in secret["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
        (tmp_path / name).chmod(0o600)
    kept = Directory(tmp_path, NOW)
    (root,) = kept.current().roots
    _, chain = Authority(kept, time.time, lambda: "cluster.local").server_pair(("controller.mesh.svc",))
    leaf = x509.load_pem_x509_certificates(chain)[0]
    ours = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert ours == root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    published = [each for each in objects if each["kind"] == "ConfigMap"]
    assert {each["metadata"]["namespace"] for each in published} == {"mesh", "shop", "bank"}
    for each in published:
        assert each["metadata"]["name"] == "istio-ca-root-cert"
        assert x509.load_pem_x509_certificate(each["data"]["root-cert.pem"].encode()) == root
    mounted = pod(objects)["spec"]["volumes"][0]["secret"]
    assert mounted == {"secretName": "proxyless-controller-ca", "defaultMode": 0o400}


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("ca.existingSecret=cacerts,ca.publish=false", "ca.rootCert: without ca.publish"),
        ("webhook.failurePolicy=Perhaps", "value must be one of"),
        ("without={nodes}", "does not match pattern"),
        ("typo=1", "additional properties 'typo' not allowed"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(option: str, text: str) -> None:
    assert text in run("template", "c", CHARTS / CHART, "--set", option, ok=False).stderr
