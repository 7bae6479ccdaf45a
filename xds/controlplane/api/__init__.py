"""Istio's and Kubernetes' API as data: one frozen dataclass per message, with Istio's names in Python's spelling.

Plain JSON values (what YAML gives) come in, typed objects go out, and every deviation is a problem with its path. The
rule that holds the package together: the dataclasses are the schema. A field's annotation says its type, its bounds
and its format; `decode` compiles readers from it, `check` names unknown fields from it, and the emitters are type
checked against it. Nothing is validated by hand that an annotation can say.

`networking`, `security` and `telemetry` are complete: a field that is missing there does not exist in Istio's API, so
naming it is an error. `kubernetes` holds only what discovery reads; other fields of those kinds pass unread.
"""
