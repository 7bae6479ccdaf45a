"""The real Envoy beside us: recorded configuration under both, the same requests through both, the differences.

`recording` reads and rewrites what istiod sent, `bootstrap` turns it into a static Envoy configuration, `rig` runs
Envoy and the backends and observes each request, `facts` prints what Envoy does (see `docs/envoy-facts.md`).
"""
