"""Addresses that nobody else gets, and the processes at them."""

from __future__ import annotations

import random
import socket
import sys
from pathlib import Path

import pytest
import yaml

from proxyless.demo.addresses import ONLY, Addresses
from proxyless.demo.intended import shipped
from proxyless.demo.kubernetes import text_of
from proxyless.demo.shop import APPS, ROLES, cluster_of, host_of, placed
from proxyless.xds.controlplane import FolderSource, Plane

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a port for a socket that does not listen")


@linux
def test_each_process_has_an_address_of_its_own_below_one_network() -> None:
    addresses = Addresses(choose=random.Random(1))
    hosts = [addresses.host(number) for number in (1, 2)]
    assert hosts[0].rpartition(".")[0] == hosts[1].rpartition(".")[0]
    assert hosts[0] != hosts[1]
    assert all(host.startswith("127.") for host in hosts)


def test_where_there_is_one_address_all_are_there_with_ports_of_their_own() -> None:
    addresses = Addresses(one=True)
    try:
        instances = placed(addresses)
    finally:
        addresses.close()
    assert {each.host for each in instances} == {ONLY}
    assert len({port for each in instances for port in (each.port, each.admin)}) == 2 * len(ROLES)


@linux
def test_a_reserved_port_is_refused_to_callers_and_free_for_a_process_of_ours() -> None:
    addresses = Addresses(one=True)
    port = addresses.port(ONLY)
    with socket.socket() as caller:
        assert caller.connect_ex((ONLY, port)) != 0
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((ONLY, port))
    with socket.socket() as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ours.bind((ONLY, port))
        ours.listen()
    addresses.close()


def test_processes_are_named_after_app_version_and_number() -> None:
    assert [role.name for role in ROLES] == [
        *("storefront", "catalog-v1", "catalog-v2", "catalog-v3", "cart-1", "cart-2", "checkout", "payment"),
    ]
    assert [role.name for role in ROLES if role.fails] == ["cart-2"]
    assert cluster_of("cart") == "outbound|80||cart.shop.svc.cluster.local"
    assert cluster_of("catalog", "v1") == f"outbound|80|v1|{host_of('catalog')}"


@pytest.mark.parametrize("one", [False, True], ids=["many addresses", "one address"])
def test_the_folder_is_taken_by_the_control_plane_and_holds_every_process(tmp_path: Path, one: bool) -> None:
    addresses = Addresses(one=one)
    instances = placed(addresses)
    addresses.close()
    text = text_of(instances, one_address=addresses.one)
    documents = list(yaml.safe_load_all(text))
    kinds = [each["kind"] for each in documents]
    assert kinds.count("Pod") == len(ROLES)
    assert kinds.count("ServiceEntry" if addresses.one else "Service") == len(APPS)
    (tmp_path / "kubernetes.yaml").write_text(text)
    for name, shipped_text in shipped().items():
        (tmp_path / name).write_text(shipped_text)
    plane = Plane(FolderSource(str(tmp_path)))
    assert not plane.state.faults
    assert {service.hostname for service in plane.state.world.services} == {host_of(app) for app in APPS}
