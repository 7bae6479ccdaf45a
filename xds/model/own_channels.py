"""What proxyless's own gRPC channels have among their options: nobody governs them, `proxyless run` neither."""

OWN_CHANNEL = ("proxyless.own", 1)
"""gRPC passes over what it does not know."""
