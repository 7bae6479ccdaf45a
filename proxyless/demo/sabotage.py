"""Ways to make a scenario fail: the system is another one than was meant, and the walk has to notice.

For tests of the demo itself. A sabotage changes the YAML that is written, the environment of a process, or what
becomes of one; what is expected is computed from the shipped YAML all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .edits import replaced, weighted

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sabotage:
    """`scenario` is the key of the one that has to fail; empty for none."""

    scenario: str = ""
    change: Callable[[str], str] | None = None
    file: str = ""
    environs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def files(self, texts: Texts) -> dict[str, str]:
        """The files as they are written."""
        return {
            name: self.change(text) if self.change is not None and name == self.file else text
            for name, text in texts.items()
        }

    def environ(self, name: str) -> Mapping[str, str]:
        """What a process gets in addition."""
        return self.environs.get(name, {})


NOTHING = Sabotage()

SABOTAGES = {
    each.scenario: each
    for each in (
        Sabotage("weights", lambda text: weighted(text, {"v1": 50, "v2": 49, "v3": 1}), "catalog.yaml"),
        Sabotage("headers", lambda text: replaced(text, "exact: internal", "exact: extern"), "catalog.yaml"),
        Sabotage("retries", lambda text: replaced(text, "attempts: 2", "attempts: 0"), "cart.yaml"),
        Sabotage("breaker", lambda text: replaced(text, "maxConnections: 2", "maxConnections: 5"), "checkout.yaml"),
        # Not the YAML: a process that forgot to be governed.
        Sabotage("ratelimit", environs={"payment": {"PROXYLESS_DISABLE": "1"}}),
        Sabotage("users", lambda text: replaced(text, r"\[\{key: user\}\]", "[{key: guest}]"), "storefront.yaml"),
        # These three are played by the scenarios themselves: a control plane that is stopped, a file that is not
        # broken, a control plane that does not come back.
        Sabotage("change"),
        Sabotage("broken"),
        Sabotage("restart"),
    )
}

ANYBODY = r"(name: catalog,[\s\S]*?sa/)storefront"

SABOTAGES_WITH_MTLS = {
    each.scenario: each
    for each in (
        Sabotage("strict", lambda text: replaced(text, "mode: STRICT", "mode: PERMISSIVE"), "strict.yaml"),
        Sabotage("principals", lambda text: replaced(text, ANYBODY, r"\g<1>*"), "access.yaml"),
        # Played by the scenario: an authority whose root nobody replaces.
        Sabotage("rotation"),
    )
}
"""Of the scenarios that `--mtls` adds."""
