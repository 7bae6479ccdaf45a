"""The only room that knows protobuf: bytes to events, and bytes to models.

`envelope` turns a discovery response into names and bytes and a request into bytes; `codec` parses a resource so that
it can be ACKed, and decodes it into a model when it is first used; `decode` has one module per kind of message;
`schema` holds Envoy's message classes in a pool of their own and the rules that Envoy enforces. What Envoy would
refuse raises `RefusedError` with Envoy's words; nothing is dropped in silence (`coverage` names what has no effect).
"""
