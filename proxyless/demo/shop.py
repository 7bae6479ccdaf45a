"""Which services the shop has, and how many processes each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

NAMESPACE = "shop"
DOMAIN = "svc.cluster.local"
SERVICE_PORT = 80


@dataclass(frozen=True, slots=True)
class Role:
    """One process to be: an instance of an app. `fails`: it answers 503."""

    app: str
    version: str = "v1"
    number: int = 0
    fails: bool = False

    @property
    def name(self) -> str:
        """`catalog-v2`, `cart-1`, `payment`."""
        if self.number:
            return f"{self.app}-{self.number}"
        return f"{self.app}-{self.version}" if self.app == "catalog" else self.app


@dataclass(frozen=True, slots=True)
class Instance:
    """A role with its addresses: `port` is the app's, `admin` the one that no mesh touches."""

    role: Role
    host: str
    port: int
    admin: int

    @property
    def name(self) -> str:
        return self.role.name

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://{self.host}:{self.admin}"


ROLES = (
    Role("storefront"),
    Role("catalog", "v1"),
    Role("catalog", "v2"),
    Role("catalog", "v3"),
    Role("cart", number=1),
    Role("cart", number=2, fails=True),
    Role("checkout"),
    Role("payment"),
)

APPS = tuple(dict.fromkeys(role.app for role in ROLES))


def host_of(app: str) -> str:
    """The full name of a service."""
    return f"{app}.{NAMESPACE}.{DOMAIN}"


def cluster_of(app: str, subset: str = "") -> str:
    """istiod's name of an outbound cluster."""
    return f"outbound|{SERVICE_PORT}|{subset}|{host_of(app)}"


class Ports(Protocol):
    """Where free addresses come from."""

    def host(self, number: int) -> str:
        """The address of the process of that number."""

    def port(self, host: str) -> int:
        """A free port there."""


def placed(ports: Ports) -> tuple[Instance, ...]:
    """Every role at an address of its own."""
    made = []
    for number, role in enumerate(ROLES, 1):
        host = ports.host(number)
        made.append(Instance(role, host, ports.port(host), ports.port(host)))
    return tuple(made)
