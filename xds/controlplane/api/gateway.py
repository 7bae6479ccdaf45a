"""gateway.networking.k8s.io Gateway, as far as it says where a network is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from .fields import Port


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    type: str = "IPAddress"
    value: str = ""

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ListenerTLS:
    options: dict[str, str] = field(default_factory=dict)

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class GatewayListener:
    port: Port = 0
    protocol: str = ""
    tls: ListenerTLS | None = None

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class NetworkGatewaySpec:
    """`spec` of a Gateway that is labelled with a network."""

    gateway_class_name: str = ""
    addresses: tuple[GatewayAddress, ...] = ()
    listeners: tuple[GatewayListener, ...] = ()

    OPEN: ClassVar[bool] = True
