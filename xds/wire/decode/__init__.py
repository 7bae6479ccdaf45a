"""Messages to models, one module per kind of message, one per HTTP filter.

Each function takes a message that has parsed and returns frozen data, or raises `RefusedError` for what Envoy would
refuse, in Envoy's words. What Envoy would accept is never refused: what is not understood here raises
`NotUnderstoodError`, and the smallest thing around it fails closed (a match that never matches, a route or an endpoint
that answers 503). A message is checked against Envoy's validation rules when it is unpacked, as in Envoy: those of a
typed extension when the extension is opened.
"""
