"""What becomes of manifests: what is added, what stays, and what is said of those that cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from proxyless.injecting import InjectError, Wanted, injected
from tests.docs.pages import blocks

DEPLOYMENT = """\
# what runs
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop   # its name
  namespace: store
spec:
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels:
        app: shop
        version: "1"   # a text
    spec:
      # one container
      containers:
        - name: app
          image: "repo/app:1"
          env:
            - {name: DEBUG, value: on}   # as it was
      # the end
"""
SERVICE = "# a service\napiVersion: v1\nkind: Service\nmetadata: {name:   shop}\n"


def pod(text: str, kind: str = "Deployment") -> dict[str, Any]:
    """The Pod of the first workload."""
    value = next(each for each in yaml.safe_load_all(text) if each and each["kind"] == kind)
    if kind == "CronJob":
        value = value["spec"]["jobTemplate"]
    found = value if kind == "Pod" else value["spec"]["template"]
    assert isinstance(found, dict)
    return found


def names(items: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in items]


def test_the_pod_gets_what_the_page_of_the_bootstrap_says() -> None:
    page = yaml.safe_load(blocks("bootstrap", "yaml")[0].text)
    made = pod(injected(DEPLOYMENT, Wanted()).text)
    assert made["metadata"]["labels"] == {"app": "shop", "version": "1", **page["metadata"]["labels"]}
    wanted, container = page["spec"]["containers"][0], made["spec"]["containers"][0]
    assert names(wanted["env"]) == [each for each in names(container["env"]) if each in names(wanted["env"])]
    for each in wanted["env"]:
        assert each in container["env"]
    places = {each["mountPath"] for each in container["volumeMounts"]}
    assert places == {each["mountPath"] for each in wanted["volumeMounts"]}
    token = made["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
    assert token == {"path": "istio-token", "audience": "istio-ca", "expirationSeconds": 43200}
    assert set(names(container["volumeMounts"])) == set(names(made["spec"]["volumes"]))


def test_comments_order_and_other_documents_stay_and_a_second_run_changes_nothing() -> None:
    text = f"{SERVICE}---\n{DEPLOYMENT}--- # more\n{SERVICE}"
    once = injected(text, Wanted(listener=15020, mtls=True))
    assert once.changed == ("Deployment shop",)
    for line in DEPLOYMENT.splitlines():
        assert line in once.text or "name: DEBUG" in line
    assert "{name: DEBUG, value: on}   # as it was" in once.text, "what was there is written as it was"
    assert once.text.startswith(SERVICE)
    assert once.text.endswith(f"--- # more\n{SERVICE}")
    assert injected(once.text, Wanted(listener=15020, mtls=True)).text == once.text
    assert injected(once.text, Wanted(listener=15020, mtls=True)).notes == ()


@pytest.mark.parametrize(
    ("kind", "version", "before"),
    [
        ("StatefulSet", "apps/v1", ("spec", "template")),
        ("DaemonSet", "apps/v1", ("spec", "template")),
        ("Job", "batch/v1", ("spec", "template")),
        ("CronJob", "batch/v1", ("spec", "jobTemplate", "spec", "template")),
        ("Pod", "v1", ()),
    ],
)
def test_every_kind_that_has_pods_is_taken(kind: str, version: str, before: tuple[str, ...]) -> None:
    value: dict[str, Any] = {"spec": {"containers": [{"name": "app", "image": "x"}]}}
    for key in reversed(before):
        value = {key: value}
    value |= {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}
    text = yaml.safe_dump({"kind": "List", "apiVersion": "v1", "items": [value]}, sort_keys=False)
    made = injected(text, Wanted())
    assert made.changed == (f"{kind} x",)
    assert pod(yaml.safe_dump(yaml.safe_load(made.text)["items"][0]), kind)["spec"]["volumes"]
    other = text.replace(version, "example.com/v1")
    assert injected(other, Wanted()).text == other, "a kind of that name in another group is none of ours"


def test_json_stays_json_and_texts_stay_texts() -> None:
    value = yaml.safe_load(DEPLOYMENT)
    made = injected(json.dumps(value), Wanted(cluster_id="on", mesh_id="1"))
    container = json.loads(made.text)["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "ISTIO_META_CLUSTER_ID", "value": "on"} in container["env"]
    container = pod(injected(DEPLOYMENT, Wanted(cluster_id="on", mesh_id="1")).text)["spec"]["containers"][0]
    assert {"name": "ISTIO_META_CLUSTER_ID", "value": "on"} in container["env"]
    assert {"name": "ISTIO_META_MESH_ID", "value": "1"} in container["env"]
    assert pod(
        injected(
            "{apiVersion: apps/v1, kind: Deployment, spec: {template: {spec: {containers: [{name: a}]}}}}", Wanted()
        ).text
    )["spec"]["volumes"]


def test_what_is_said_is_in_the_environment() -> None:
    wanted = Wanted(address="c.ns.svc:15010", ca_address="ca:1", network="n", delta=True, identity=False, mtls=True)
    made = pod(injected(DEPLOYMENT, wanted).text)
    variables = {each["name"]: each.get("value") for each in made["spec"]["containers"][0]["env"]}
    assert json.loads(variables["PROXY_CONFIG"]) == {"discoveryAddress": "c.ns.svc:15010"}
    assert variables["ISTIO_META_WORKLOAD_NAME"] == "shop"
    said = {
        name: variables[name] for name in ("CA_ADDR", "ISTIO_META_NETWORK", "PROXYLESS_DELTA", "PROXYLESS_IDENTITY")
    }
    assert said == {"CA_ADDR": "ca:1", "ISTIO_META_NETWORK": "n", "PROXYLESS_DELTA": "1", "PROXYLESS_IDENTITY": "none"}
    assert made["metadata"]["labels"]["security.istio.io/tlsMode"] == "istio"


def test_what_was_another_one_is_replaced_and_told() -> None:
    once = injected(DEPLOYMENT, Wanted()).text
    made = injected(
        once.replace('sidecar.istio.io/inject: "false"', 'sidecar.istio.io/inject: "true"'),
        Wanted(address="other:15012"),
    )
    assert made.notes == (
        "Deployment store/shop: sidecar.istio.io/inject was true, and is false now",
        "Deployment store/shop: container app: env: PROXY_CONFIG was another one, and is replaced",
    )
    assert "other:15012" in made.text
    assert len(pod(made.text)["spec"]["containers"][0]["env"]) == len(pod(once)["spec"]["containers"][0]["env"])


def test_a_root_that_cannot_be_written_to_gets_a_place_for_what_is_passing() -> None:
    text = DEPLOYMENT.replace(
        "          env:", "          securityContext: {readOnlyRootFilesystem: true}\n          env:"
    )
    made = pod(injected(text, Wanted()).text)
    assert {"name": "tmp", "mountPath": "/tmp"} in made["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "tmp", "emptyDir": {}} in made["spec"]["volumes"]
    own = text.replace("          env:", "          volumeMounts: [{name: scratch, mountPath: /tmp}]\n          env:")
    assert "tmp" not in names(pod(injected(own, Wanted()).text)["spec"]["volumes"])


TWO = DEPLOYMENT.replace("      # the end\n", "        - name: log\n          image: y\n")


def test_of_several_containers_those_that_are_said_are_governed() -> None:
    for wanted, governed in ((("app",), [True, False]), (("*",), [True, True]), (("log", "none"), [False, True])):
        made = pod(injected(TWO, Wanted(containers=wanted)).text)
        assert ["volumeMounts" in each for each in made["spec"]["containers"]] == governed
    default = TWO.replace(
        "      labels:\n", "      annotations: {kubectl.kubernetes.io/default-container: log}\n      labels:\n"
    )
    made = pod(injected(default, Wanted()).text)
    assert ["volumeMounts" in each for each in made["spec"]["containers"]] == [False, True]


@pytest.mark.parametrize(
    ("text", "wanted", "said"),
    [
        ("a: [", Wanted(), "m.yaml:1: is not YAML"),
        (f"{SERVICE}---\na: b\na: c\n", Wanted(), "m.yaml:7: is not YAML: found duplicate key"),
        (
            f"{SERVICE}---\n{TWO}",
            Wanted(),
            "m.yaml:6: Deployment store/shop: it has the containers app, log: --container",
        ),
        (TWO, Wanted(containers=("x",)), "Deployment store/shop: it has no container x: there are app, log"),
        (DEPLOYMENT.replace("name: app", "name: istio-proxy"), Wanted(), "has the container istio-proxy"),
        (DEPLOYMENT.replace("containers:", "container:"), Wanted(), "the Pod has no containers"),
        (DEPLOYMENT.replace("template:", "templates:"), Wanted(), "template is missing: it has no Pods"),
        (
            DEPLOYMENT.replace("{app: shop}", "{app: shop, security.istio.io/tlsMode: istio}"),
            Wanted(),
            "its selector wants security.istio.io/tlsMode=istio, and the Pod needs security.istio.io/tlsMode=disabled",
        ),
        (
            DEPLOYMENT.replace(
                "          env:", "          volumeMounts: [{name: d, mountPath: /etc/istio/pod/}]\n          env:"
            ),
            Wanted(),
            "container app has the volume d at /etc/istio/pod",
        ),
    ],
)
def test_what_cannot_be_is_one_clear_line(text: str, wanted: Wanted, said: str) -> None:
    with pytest.raises(InjectError) as error:
        injected(text, wanted, "m.yaml")
    assert str(error.value).startswith("m.yaml:")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("          env:", "          volumeMounts: all\n          env:"), "container app: volumeMounts is no list"),
        (("      labels:\n", "      annotations: x\n      labels:\n"), "annotations is no object"),
        (("      # one container", "      volumes: {a: b}"), "volumes is no list"),
    ],
)
def test_what_makes_no_sense_is_said(change: tuple[str, str], said: str) -> None:
    with pytest.raises(InjectError) as error:
        injected(DEPLOYMENT.replace(*change), Wanted(listener=15020), "m.yaml")
    assert str(error.value) == f"m.yaml:1: Deployment store/shop: {said}"


def test_a_selector_that_an_anchor_makes_the_same_object_stays_as_it_is() -> None:
    text = DEPLOYMENT.replace("matchLabels: {app: shop}", "matchLabels: &own {app: shop}").replace(
        'labels:\n        app: shop\n        version: "1"   # a text\n', "labels: *own\n"
    )
    made = injected(text, Wanted()).text
    assert yaml.safe_load(made)["spec"]["selector"]["matchLabels"] == {"app": "shop"}
    assert pod(made)["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"


def test_lines_that_end_as_on_windows_still_do() -> None:
    text = f"{SERVICE}---\n{DEPLOYMENT}".replace("\n", "\r\n")
    made = injected(text, Wanted()).text
    assert made.count("\n") == made.count("\r\n")
    assert injected(made, Wanted()).text == made
    assert pod(made)["spec"]["volumes"]


def test_a_pod_with_its_nodes_address_is_told() -> None:
    text = DEPLOYMENT.replace("      # one container\n", "      hostNetwork: true\n")
    assert "hostNetwork is true" in injected(text, Wanted()).notes[0]
