"""YAML within YAML: a fault in the text of a ConfigMap has the line of the file that it stands in."""

from __future__ import annotations

import pytest

from proxyless.xds.controlplane.source.block import BlockReader
from proxyless.xds.controlplane.source.documents import Document, parse_yaml
from proxyless.xds.controlplane.source.reading import read_document

HEAD = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
"""


def faults(data: str) -> list[str]:
    text = HEAD + data
    (reading,) = read_document("istio.yaml", Document(parse_yaml(text, 1, BlockReader()), text, 1))
    return [str(fault) for fault in reading.faults]


def test_an_unknown_field_has_its_own_line_and_column() -> None:
    (said,) = faults("  mesh: |-\n    # comment\n\n    defaultConfig:\n      tracing:\n        samplin: 5\n")
    assert said.startswith("istio.yaml:10:9: ConfigMap istio-system/istio: data.mesh.defaultConfig.tracing.samplin ")
    assert said.endswith('unknown field (did you mean "sampling"?)')


def test_so_has_a_wrong_type_in_a_list() -> None:
    written = "  mesh: |\n    extensionProviders:\n    - name: a\n      zipkin: {service: z, port: http}\n"
    (said,) = faults(written)
    assert said.startswith("istio.yaml:8:28: ")
    assert 'data.mesh.extensionProviders[0].zipkin.port must be a whole number, not "http"' in said


@pytest.mark.parametrize("written", ["  mesh: 'acces: /a'\n", "  mesh: >\n    acces: /a\n", '  mesh: "acces: /a"\n'])
def test_in_other_styles_of_text_the_key_is_the_place(written: str) -> None:
    (said,) = faults(written)
    assert said.startswith("istio.yaml:5:3: ")
    assert "data.mesh.acces unknown field" in said


def test_what_is_no_yaml_is_said_with_the_line_of_the_text() -> None:
    (said,) = faults("  mesh: |\n    a: b\n    c: [\n")
    assert "data.mesh is not YAML: line 3 of it: " in said


def test_what_is_no_object_is_refused() -> None:
    (said,) = faults("  mesh: |\n    just words\n")
    assert said.endswith('data.mesh must be an object, not "just words"')
    (said,) = faults("  mesh: 5\n")
    assert said.endswith("data.mesh must be a string, not the number 5")


def test_a_text_of_nothing_says_nothing() -> None:
    assert faults("  mesh: ''\n  meshNetworks: |\n    # nothing\n") == []
