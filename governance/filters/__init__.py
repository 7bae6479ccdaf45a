"""HTTP filters in the order of the chain, each compiled once from its configuration.

A filter sees a request on its way in and may answer it; it may leave headers for the response. Which configuration
applies is Envoy's rule: the most specific of weighted cluster, route, virtual host, route configuration, else the
filter's own. A filter that must be enforced and cannot be closes the chain, unless it is allowed by name or optional.
"""
