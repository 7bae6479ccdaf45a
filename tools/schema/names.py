"""Names that betterproto2 changed on the way to Python and that cannot be told from its metadata.

The test against the official descriptors (tests/xds/wire/schema) finds a missing or wrong entry.
"""

# "package.ClassName" -> path inside the package
ENUM_NAMES: dict[str, str] = {
    "envoy.config.core.v3.ProxyProtocolPassThroughTlVsPassTlVsMatchType": (
        "ProxyProtocolPassThroughTLVs.PassTLVsMatchType"
    ),
    "envoy.config.route.v3.RetryPolicyResetHeaderFormat": "RetryPolicy.ResetHeaderFormat",
    "envoy.extensions.common.ratelimit.v3.XRateLimitHeadersRfcVersion": "XRateLimitHeadersRFCVersion",
    "envoy.extensions.filters.http.ratelimit.v3.RateLimitXRateLimitHeadersRfcVersion": (
        "RateLimit.XRateLimitHeadersRFCVersion"
    ),
}
