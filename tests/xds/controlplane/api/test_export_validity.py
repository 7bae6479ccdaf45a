"""An `exportTo` that Istio's admission refuses is refused here, with the field."""

from __future__ import annotations

import pytest

from tests.xds.controlplane.api.test_validity import faults

KINDS = {
    "ServiceEntry": "{hosts: [a.com], ports: [{number: 80, name: http}], resolution: STATIC, exportTo: %s}",
    "VirtualService": "{hosts: [a.com], http: [{directResponse: {status: 204}}], exportTo: %s}",
    "DestinationRule": "{host: a.com, exportTo: %s}",
}


def said(kind: str, export_to: str) -> list[str]:
    return faults(kind, KINDS[kind] % export_to)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("export_to", ["[]", "['*']", "['.']", "[shop]", "['.', other]", "[one, two]"])
def test_accepted(kind: str, export_to: str) -> None:
    assert said(kind, export_to) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("export_to", "wanted"),
    [
        ("[one, one]", 'spec.exportTo[1] "one" is given twice'),
        ("['.', shop]", 'spec.exportTo[1] "shop" is given twice: . is shop'),
        ("[shop, '.']", 'spec.exportTo[1] "." is given twice: . is shop'),
        ("['*', one]", "spec.exportTo cannot have * together with others"),
        ("['*', '.']", "spec.exportTo cannot have * together with others"),
        ("[a.b]", 'spec.exportTo[0] "a.b" is neither a namespace nor one of'),
        ("['']", 'spec.exportTo[0] "" is neither'),
    ],
)
def test_refused(kind: str, export_to: str, wanted: str) -> None:
    found = said(kind, export_to)
    assert any(each.startswith(wanted) for each in found), found


def test_only_what_is_called_may_be_for_nobody() -> None:
    assert said("ServiceEntry", "['~']") == []
    assert said("ServiceEntry", "['~', one]") == ["spec.exportTo cannot have ~ together with others"]
    for kind in ("VirtualService", "DestinationRule"):
        assert said(kind, "['~']") == ["spec.exportTo[0] ~ is for ServiceEntries only"]


@pytest.mark.parametrize(
    ("export_to", "refused"), [("['.']", False), ("[shop]", False), ("['*']", True), ("[one]", True)]
)
def test_a_rule_for_some_workloads_is_its_namespaces_own(export_to: str, refused: bool) -> None:
    rule = f"{{host: a.com, workloadSelector: {{matchLabels: {{a: b}}}}, exportTo: {export_to}}}"
    wanted = "spec.exportTo cannot reach beyond the own namespace where there is a workloadSelector"
    assert faults("DestinationRule", rule) == ([wanted] if refused else [])
