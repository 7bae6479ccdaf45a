"""Subsets (Cluster.LbSubsetConfig, and the extension that says the same)."""

from __future__ import annotations

from ...model.subsets import FallbackPolicy, SelectorFallback, SubsetConfig, SubsetSelector
from ..refused import RefusedError
from ..schema import types as pb
from .values import named, struct

FALLBACKS: tuple[FallbackPolicy, ...] = ("NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET")
OF_SELECTORS: tuple[SelectorFallback, ...] = (
    "NOT_DEFINED",
    "NO_FALLBACK",
    "ANY_ENDPOINT",
    "DEFAULT_SUBSET",
    "KEYS_SUBSET",
)
FALLBACK_LIST = 1


def subset_config(message: pb.cluster_v3.Cluster.LbSubsetConfig | pb.subset_v3.Subset) -> SubsetConfig:
    """How endpoints are divided, and what is done where a request matches no part."""
    return SubsetConfig(
        selectors=tuple(_selector(each) for each in message.subset_selectors),
        fallback=named(FALLBACKS, message.fallback_policy),
        default_subset=struct(message.default_subset),
        locality_weight_aware=message.locality_weight_aware,
        scale_locality_weight=message.scale_locality_weight,
        panic_mode_any=message.panic_mode_any,
        list_as_any=message.list_as_any,
        fallback_list=message.metadata_fallback_policy == FALLBACK_LIST,
        allow_redundant_keys=isinstance(message, pb.subset_v3.Subset) and message.allow_redundant_keys,
    )


def _selector(
    message: pb.cluster_v3.Cluster.LbSubsetConfig.LbSubsetSelector | pb.subset_v3.Subset.LbSubsetSelector,
) -> SubsetSelector:
    keys, fallback_keys = frozenset(message.keys), frozenset(message.fallback_keys_subset)
    fallback = named(OF_SELECTORS, message.fallback_policy)
    if fallback != "KEYS_SUBSET":
        if fallback_keys:
            raise RefusedError("fallback_keys_subset can be set only for KEYS_SUBSET fallback_policy")
    elif not fallback_keys:
        raise RefusedError("fallback_keys_subset cannot be empty")
    elif not fallback_keys <= keys:
        raise RefusedError("fallback_keys_subset must be a subset of selector keys")
    elif fallback_keys == keys:
        raise RefusedError("fallback_keys_subset cannot be equal to keys")
    return SubsetSelector(tuple(sorted(keys)), fallback, fallback_keys, message.single_host_per_subset)
