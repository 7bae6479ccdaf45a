"""Hosts that have just come get few requests at first (docs: arch_overview, "Slow start mode").

A host starts slowly from when it was first seen healthy (or last passed an active health check) until the window has
passed: its weight is multiplied by max(min_weight, (time / window) ** (1 / aggression)), in whole milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...xds.model.cluster import LbConfig
from .host import Host
from .setting import Memory, Setting

_TINY = 1e-300
"""What an extreme aggression leaves of a weight: still more than nothing."""


def note_arrivals(hosts: Iterable[Host], config: LbConfig, setting: Setting, memory: Memory) -> None:
    """Hosts have changed: remember since when each is healthy, and when the last of them came."""
    slow = config.slow_start
    if slow is None:
        return
    now = setting.clock()
    for host in hosts:
        if host.coarse_health != "healthy":
            continue
        state = host.state
        if state.healthy_since is None:
            state.healthy_since = now
        if memory.newest < state.healthy_since and _ms(now - state.healthy_since) <= _ms(slow.window_s):
            memory.newest = state.healthy_since


def starting(config: LbConfig, setting: Setting, memory: Memory) -> bool:
    """Whether there may be hosts that start slowly."""
    slow = config.slow_start
    return slow is not None and _ms(setting.clock() - memory.newest) <= _ms(slow.window_s)


def starting_weight(
    config: LbConfig, setting: Setting, memory: Memory, weight: Callable[[Host], float]
) -> Callable[[Host], float]:
    """`weight`, made small for hosts that start slowly; `weight` itself where none ever does."""
    slow = config.slow_start
    if slow is None:
        return weight
    clock = setting.clock
    window_ms = _ms(slow.window_s)
    aggression = slow.aggression if slow.aggression > 0 else 1.0
    least = slow.min_weight_percent / 100.0

    def weigh(host: Host) -> float:
        whole = weight(host)
        since = host.state.healthy_since
        if since is None or not starting(config, setting, memory) or host.coarse_health != "healthy":
            return whole
        passed_ms = _ms(clock() - since)
        if passed_ms >= window_ms:
            return whole
        share = max(1, passed_ms) / window_ms
        return whole * max(share if aggression == 1.0 else float(share ** (1.0 / aggression)), least, _TINY)

    return weigh


def _ms(time_s: float) -> int:
    return int(time_s * 1000 + 1e-6)  # sums of seconds are not exact
