"""What `explain --repeat` counts."""

from collections import Counter


class Tally:
    """How often each cluster and each endpoint was drawn."""

    __slots__ = ("clusters", "endpoints")

    def __init__(self) -> None:
        self.clusters: Counter[str] = Counter()
        self.endpoints: Counter[str] = Counter()

    def add(self, cluster: str | None, endpoint: str | None) -> None:
        """One request's."""
        if cluster is not None:
            self.clusters[cluster] += 1
        if endpoint is not None:
            self.endpoints[endpoint] += 1

    def document(self) -> dict[str, dict[str, int]]:
        """By name."""
        return {"clusters": dict(sorted(self.clusters.items())), "endpoints": dict(sorted(self.endpoints.items()))}
