"""Active health checks (envoy.config.core.v3.HealthCheck); times in seconds."""

from .matchers import Range, StringMatcher
from .records import dataclass
from .values import HeaderMutation


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """HealthCheck.HttpHealthCheck. `receive`: what the body must hold, in this order. `buffer` 0: of the whole body."""

    path: str
    host: str = ""
    method: str = "GET"
    send: bytes = b""
    receive: tuple[bytes, ...] = ()
    buffer: int = 1024
    add: tuple[HeaderMutation, ...] = ()
    remove: tuple[str, ...] = ()
    expected: tuple[Range, ...] = (Range(200, 201),)
    retriable: tuple[Range, ...] = ()
    service_name: StringMatcher | None = None


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """HealthCheck.TcpHealthCheck. With nothing to receive a connection is enough, and nothing is sent."""

    send: bytes = b""
    receive: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class GrpcCheck:
    """HealthCheck.GrpcHealthCheck."""

    service_name: str = ""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How each endpoint of a cluster is asked. The intervals stand for each other as Envoy's do (`wait_s`)."""

    ask: HttpCheck | TcpCheck | GrpcCheck
    timeout_s: float = 1.0
    interval_s: float = 1.0
    unhealthy_threshold: int = 1
    healthy_threshold: int = 1
    initial_jitter_s: float = 0.0
    interval_jitter_s: float = 0.0
    interval_jitter_percent: int = 0
    no_traffic_interval_s: float = 60.0
    no_traffic_healthy_interval_s: float = 60.0
    unhealthy_interval_s: float = 1.0
    unhealthy_edge_interval_s: float = 1.0
    healthy_edge_interval_s: float = 1.0
    always_log_failures: bool = False
    always_log_success: bool = False
    alpn: tuple[str, ...] = ()
    """TlsOptions: offered in place of what the cluster's context says."""
