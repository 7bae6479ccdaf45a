"""From a control plane's bytes to an immutable snapshot.

Bytes come in from a stream, `wire` turns them into events and frozen models, `protocol` decides what to answer,
`graph` joins the resources into one consistent `Snapshot`, and `transport` drives the three from one control thread.
Data moves left to right and never back; the rule that holds the rooms together is the table of allowed imports
(tests/gates/test_import_direction.py).
"""
