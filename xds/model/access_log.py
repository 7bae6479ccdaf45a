"""Access logs that are written here (accesslog.v3, access_loggers.file.v3, access_loggers.stream.v3)."""

from __future__ import annotations

from .local_reply import BodyFormat, LogFilter
from .records import dataclass

STDOUT = "/dev/stdout"
STDERR = "/dev/stderr"

DEFAULT = BodyFormat(
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n'
)
"""Envoy's own format."""


@dataclass(frozen=True, slots=True)
class AccessLog:
    """envoy.config.accesslog.v3.AccessLog that writes lines to `path`, all of them without a filter."""

    path: str
    format: BodyFormat = DEFAULT
    filter: LogFilter | None = None
