"""What is wrong with a resource, in words that name the field."""

UNEXPECTED = "proxyless failed to decode it"
"""Said of what no decoder has seen the like of: a mistake of ours, and no reason to end a thread."""


class RefusedError(ValueError):
    """Envoy would refuse this. `within` prepends the place once a surrounding message knows its own name."""

    def within(self, at: str) -> "RefusedError":
        """The same problem, said with its place."""
        return type(self)(f"{at}: {self}")


class NotUnderstoodError(RefusedError):
    """Envoy would accept this, and nothing here understands it: the smallest thing around it has to fail closed.

    Whoever can say what that is (a match that never matches, a route that answers 503) catches it. Uncaught it refuses
    the resource, which is safe too.
    """
