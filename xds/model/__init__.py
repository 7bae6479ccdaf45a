"""What the rest of proxyless knows of Envoy's configuration: frozen data with Envoy's names, and nothing else.

`wire` makes these values from bytes, `graph` joins them into a `Snapshot`, `governance` decides by them. They import
the standard library only, so whoever reads a decision never meets protobuf. Durations are seconds (float), `None` where
the field is unset; enumerations are spelled as Envoy spells them.
"""
