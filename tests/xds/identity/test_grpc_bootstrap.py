"""Bootstrap files of gRPC, as istio-agent writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.identity.bootstrap import DEFAULT_ROOT, DEFAULT_TOKEN, BootstrapError
from proxyless.xds.identity.environment import from_environment
from proxyless.xds.identity.grpc_bootstrap import from_file

RECORDED = Path(__file__).parents[2] / "recorded" / "shop" / "xds" / "frontend-grpc" / "node.json"


def bootstrap(**server: Any) -> dict[str, Any]:
    return {
        "xds_servers": [{"server_uri": "istiod:15010", "channel_creds": [{"type": "insecure"}], **server}],
        "node": json.loads(RECORDED.read_text()),
    }


def write(folder: Path, document: Any) -> Path:
    path = folder / "bootstrap.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_server_and_node_are_taken_and_the_light_profile_is_named(tmp_path: Path) -> None:
    found = from_file(write(tmp_path, bootstrap()))
    assert (found.address, found.tls) == ("istiod:15010", False)
    assert found.node.id == "sidecar~127.0.10.1~frontend-v1-0.shop~shop.svc.cluster.local"
    assert found.node.app == "frontend"
    assert "outlier detection" in found.warnings[0]


def test_a_file_with_tls_takes_token_and_root_from_where_the_injector_puts_them(tmp_path: Path) -> None:
    path = write(tmp_path, bootstrap(channel_creds=[{"type": "tls"}]))
    missing = from_environment({"GRPC_XDS_BOOTSTRAP": str(path)}, tmp_path)
    assert (missing.tls, missing.token_file, missing.root_cert) == (True, "", "")
    assert len(missing.warnings) == 3
    for name in (DEFAULT_TOKEN, DEFAULT_ROOT):
        place = tmp_path / name.lstrip("/")
        place.parent.mkdir(parents=True)
        place.write_text("x")
    found = from_environment({"GRPC_XDS_BOOTSTRAP": str(path), "PROXYLESS_DELTA": "1"}, tmp_path)
    assert (found.token_file, found.root_cert, found.delta) == (DEFAULT_TOKEN, DEFAULT_ROOT, True)


def test_a_file_may_name_its_certificate_authority(tmp_path: Path) -> None:
    credentials = [{"type": "tls", "config": {"ca_certificate_file": "/etc/ca.pem"}}]
    path = write(tmp_path, bootstrap(channel_creds=credentials))
    assert from_environment({"GRPC_XDS_BOOTSTRAP": str(path)}, tmp_path).root_cert == "/etc/ca.pem"


def test_the_variable_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, bootstrap())
    assert from_environment({"GRPC_XDS_BOOTSTRAP": str(path)}, tmp_path).address == "istiod:15010"


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("{", "not JSON"),
        ({"xds_servers": []}, "no usable xds_servers[0]"),
        ({"xds_servers": [[]]}, "no usable xds_servers[0]"),
        (
            {"xds_servers": [{"server_uri": "a:1"}], "node": {"id": "odd"}},
            "node id 'odd' is not type~ip~pod.namespace~domain",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_named(document: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(BootstrapError) as caught:
        from_file(write(tmp_path, document))
    assert text in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="No such file"):
        from_file(tmp_path / "nowhere.json")
