"""Writes the schema that `proxyless.xds.wire.schema` loads: descriptors, validation rules, type stubs.

Comes in: envoy-data-plane's classes (`walk`), a table of messages that it lacks (`extras`), the list of what is
wanted (`roots`), and for the rules the official descriptors of xds-protos (`official`, in a virtual environment of
its own). Goes out: `xds/wire/schema/data/schema.pb` and `rules.json`, `types/_packages.py` and `types/*.pyi`. The
rule that holds it together: the same input gives the same bytes, so a test can generate again and compare.

    python -m tools.schema            # writes what changed and names it
    python -m tools.schema --check    # writes nothing, exit status 1 if something would change

Needs the dev group of pyproject.toml (envoy-data-plane, pinned) and, once, the package index for xds-protos.
"""
