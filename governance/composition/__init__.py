"""What users add to a mesh's policies, and what they switch off (docs/composition.md).

In comes a list: own policies, fallbacks, switches, other lists. `compose` makes one `Policies` of it, which the machine
of a call or request looks at by one attribute: None where nobody has said anything, which is the case nearly always.

    builtin.py   the mesh's own policies by name, and which of them can be switched
    items.py     what a list may hold             messages.py   requests and responses as own policies see them
    compose.py   a list, compiled                 own.py        own policies at work, around those of the mesh
    falling.py   other answers than a failure     shadowing.py  filters that decide and do not enforce

Own policies stand around the mesh's: a request passes those before it, the mesh, those behind it; its response passes
them in reverse order, as far as the request has come.
"""
