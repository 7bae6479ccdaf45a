"""Constants that Envoy has: positions of its own tests' ring, and those of the bytes themselves."""

from __future__ import annotations

import pytest

from proxyless.governance.balancing.digest import hash_key, murmur_hash_2, xx_hash
from proxyless.governance.balancing.host import Host, HostState
from tests.support.model import host

POSITIONS = [
    (b"127.0.0.1:94_1", 833437586790550860),
    (b"127.0.0.1:92_0", 928266305478181108),
    (b"127.0.0.1:90_1", 1033482794131418490),
    (b"127.0.0.1:95_0", 3551244743356806947),
    (b"127.0.0.1:93_0", 3851675632748031481),
    (b"127.0.0.1:91_0", 5583722120771150861),
    (b"127.0.0.1:91_1", 6311230543546372928),
    (b"127.0.0.1:93_1", 7700377290971790572),
    (b"127.0.0.1:95_1", 13144177310400110813),
    (b"127.0.0.1:92_1", 13444792449719432967),
    (b"127.0.0.1:94_0", 15516499411664133160),
    (b"127.0.0.1:90_0", 16117243373044804889),
]


@pytest.mark.parametrize(("key", "position"), POSITIONS)
def test_a_position_on_the_ring_is_xx_hash_of_address_and_number(key: bytes, position: int) -> None:
    assert xx_hash(key) == position


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", 6142509188972423790),
        (b"abcdefgh", 8664279048047335611),
        (b"abcdefghi", 13036955925923793583),
        (b"127.0.0.1:90_0", 5656417760668758976),
        (b"127.0.0.1:95_1", 16159184795512634688),
    ],
)
def test_murmur_hash_2_has_the_seed_of_libstdcxx(key: bytes, value: int) -> None:
    assert murmur_hash_2(key) == value == murmur_hash_2(key, 0xC70F6907)
    assert murmur_hash_2(key, 0) != value


@pytest.mark.parametrize(
    ("fields", "by_hostname", "key"),
    [
        ({}, False, b"10.0.0.1:80"),
        ({"hostname": "a.example"}, False, b"10.0.0.1:80"),
        ({"hostname": "a.example"}, True, b"a.example"),
        ({"metadata": {"envoy.lb": {"hash_key": "k"}}, "hostname": "a.example"}, True, b"k"),
        ({"metadata": {"envoy.lb": {"hash_key": ""}}}, False, b"10.0.0.1:80"),
        ({"metadata": {"envoy.lb": {"hash_key": 7.0}}}, False, b"10.0.0.1:80"),
        ({"metadata": {"istio": {"hash_key": "k"}}}, False, b"10.0.0.1:80"),
    ],
)
def test_the_key_of_an_endpoint(fields: dict[str, object], by_hostname: bool, key: bytes) -> None:
    assert hash_key(Host(host("10.0.0.1:80", **fields), HostState()), by_hostname) == key
