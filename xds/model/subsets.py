"""Subsets of a cluster's endpoints by their metadata (envoy.config.cluster.v3.Cluster.LbSubsetConfig)."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from .records import dataclass
from .values import MetadataValue

FallbackPolicy = Literal["NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET"]
SelectorFallback = Literal["NOT_DEFINED", "NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET", "KEYS_SUBSET"]


@dataclass(frozen=True, slots=True)
class SubsetSelector:
    """LbSubsetSelector: endpoints with all of these keys make one subset for each combination of values."""

    keys: tuple[str, ...]
    """In their order of names, each once."""
    fallback: SelectorFallback = "NOT_DEFINED"
    fallback_keys: frozenset[str] = frozenset()
    single_host: bool = False


@dataclass(frozen=True, slots=True)
class SubsetConfig:
    """LbSubsetConfig, or envoy.extensions.load_balancing_policies.subset.v3.Subset, which says the same."""

    selectors: tuple[SubsetSelector, ...] = ()
    fallback: FallbackPolicy = "NO_FALLBACK"
    default_subset: Mapping[str, MetadataValue] = field(default_factory=dict)
    locality_weight_aware: bool = False
    scale_locality_weight: bool = False
    panic_mode_any: bool = False
    list_as_any: bool = False
    fallback_list: bool = False
    """metadata_fallback_policy is FALLBACK_LIST."""
    allow_redundant_keys: bool = False
