"""One file per library, each of which drives the machines of `governance.call` or `governance.inbound` with it.

A suite knows its library and nothing of routing; the machines know routing and nothing of libraries. Suites may import
the machines and that one library.
"""
