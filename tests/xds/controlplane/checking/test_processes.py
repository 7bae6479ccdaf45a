"""What `check` says of Deployments that name processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxyless.xds.controlplane import check
from tests.xds.controlplane.registry.test_processes import deployment
from tests.xds.controlplane.support import service

WEB = service("web", "http:80")
OWN = 'metadata.annotations["proxyless.dev/endpoints"]'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WEB + deployment("127.0.0.1"), []),
        (
            WEB + deployment("127.0.0.1, localhost:80"),
            [(OWN, '"localhost:80" is no [NAME=]ADDRESS[:PORT], so it is passed over')],
        ),
        (
            deployment("127.0.0.1", inside=True),
            [
                (
                    f"spec.template.{OWN}",
                    "has no effect: no service of the namespace selects the template's labels",
                )
            ],
        ),
    ],
)
def test_places_that_are_none_and_labels_that_nothing_selects_are_told(
    text: str, said: list[tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "mesh.yaml").write_text(text)
    assert [
        (each.field, each.message) for each in check(tmp_path) if each.object and each.object.kind == "Deployment"
    ] == said
