"""What a connection manager does to a request before routing, beyond what istiod asks of a sidecar's."""

from typing import Literal

from .records import dataclass
from .values import Cidr

Underscores = Literal["ALLOW", "REJECT_REQUEST", "DROP_HEADER"]
"""HttpProtocolOptions.headers_with_underscores_action."""

StripPort = Literal["no", "matching", "any"]
"""HttpConnectionManager.strip_matching_host_port and strip_any_host_port."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Options of HttpConnectionManager by their own names. As it stands here, it is what a sidecar does.

    `internal_cidrs` are those of internal_address_config. `ports_as_https` are those of
    forward_proto_config, `overwrite_scheme` is that of scheme_header_transformation.
    """

    use_remote_address: bool = False
    skip_xff_append: bool = False
    xff_num_trusted_hops: int = 0
    internal_cidrs: tuple[Cidr, ...] = ()
    append_x_forwarded_port: bool = False
    ports_as_https: frozenset[int] = frozenset()
    overwrite_scheme: str = ""
    add_user_agent: bool = False
    via: str = ""
    generate_request_id: bool = True
    preserve_external_request_id: bool = False
    keep_client_cert: bool = False
    """forward_client_cert_details: ALWAYS_FORWARD_ONLY; without mTLS all others remove the header."""
    strip_port: StripPort = "no"
    strip_trailing_dot: bool = False
    underscores: Underscores = "ALLOW"


ClientCertMode = Literal["SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"]
"""HttpConnectionManager.forward_client_cert_details."""


@dataclass(frozen=True, slots=True)
class ClientCert:
    """What is said of the certificate of a connection (forward_client_cert_details, set_current_client_cert_details).

    ALWAYS_FORWARD_ONLY counts without a certificate too: that is `Forwarding.keep_client_cert`.
    """

    mode: ClientCertMode = "SANITIZE"
    subject: bool = False
    cert: bool = False
    chain: bool = False
    dns: bool = False
    uri: bool = False


SIDECAR = Forwarding()
"""What istiod asks for; nothing has to be looked at then."""
