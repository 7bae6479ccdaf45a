"""The hashes that Envoy places endpoints by, and an endpoint's key (envoy source: HashUtil, MurmurHash, hashKey)."""

from collections.abc import Callable

from xxhash import xxh64_intdigest

from .host import Host

Digest = Callable[[bytes], int]
"""64 bits of some bytes."""

MASK = 0xFFFFFFFFFFFFFFFF
MURMUR_SEED = 0xC70F6907
"""That of `std::hash<string>` in libstdc++."""

_MULTIPLIER = 0xC6A4A7935BD1E995


def xx_hash(data: bytes, seed: int = 0) -> int:
    """xxHash64."""
    value: int = xxh64_intdigest(data, seed)
    return value


def murmur_hash_2(data: bytes, seed: int = MURMUR_SEED) -> int:
    """MurmurHash2 of 64 bits, as libstdc++ has it."""
    size = len(data)
    whole = size & ~7
    value = seed ^ (size * _MULTIPLIER & MASK)
    for start in range(0, whole, 8):
        word = int.from_bytes(data[start : start + 8], "little") * _MULTIPLIER & MASK
        word = (word ^ word >> 47) * _MULTIPLIER & MASK
        value = (value ^ word) * _MULTIPLIER & MASK
    if whole != size:
        value = (value ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & MASK
    value = (value ^ value >> 47) * _MULTIPLIER & MASK
    return value ^ value >> 47


DIGESTS: dict[str, Digest] = {"XX_HASH": xx_hash, "MURMUR_HASH_2": murmur_hash_2}
"""By Cluster.RingHashLbConfig.HashFunction."""


def hash_key(host: Host, by_hostname: bool) -> bytes:
    """What stands for an endpoint: text in its metadata (`envoy.lb`, `hash_key`), else its host name or address."""
    endpoint = host.endpoint
    key = endpoint.metadata.get("envoy.lb", {}).get("hash_key") if endpoint.metadata else None
    if not isinstance(key, str) or not key:
        key = endpoint.hostname if by_hostname else host.address
    return key.encode()
