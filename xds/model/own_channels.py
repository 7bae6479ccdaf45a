"""What proxyless's own gRPC channels and servers have among their options: nobody governs them, nor `proxyless run`."""

OWN_CHANNEL = ("proxyless.own", 1)
"""gRPC passes over what it does not know."""
