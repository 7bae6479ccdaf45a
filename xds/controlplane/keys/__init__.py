"""The keys that tokens are checked with, where a RequestAuthentication says only where they are (`jwksUri`, `issuer`).

istiod fetches them itself and sends them within the listener, so a proxy need not reach whoever issues its tokens; and
so does this control plane. `sources` says what a world needs, `fetching` gets one of them, `keeper` does that beside
the plane's thread, again and again.

The rule that holds the package together: keys that are not there are no reason to wait and none to let anyone in.
Until they have come no token of their issuer is valid, and a fetch that fails leaves the last keys in force.
"""
