"""HTTP/2 error codes (RFC 9113, section 7), and what the reset of a stream says of its request."""

REFUSED_STREAM, CANCEL = 7, 8


def reset_kind(code: int) -> str:
    """The kind of failure (governance.replies.RESETS) that the other side's reset of a stream is."""
    return "refused-stream" if code == REFUSED_STREAM else "remote-reset"
