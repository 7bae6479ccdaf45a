"""Objects become a mesh: services, endpoints, rules, and what of it one proxy sees.

`World` is one immutable state of the mesh, derived from the objects of a source. `Scope` is the part of a world that a
namespace sees, `Proxy` a client with its place in the world. The rule that holds the package together: everything is a
function of immutable inputs, so a part whose inputs are the same Python objects as in the world before is the same
Python object again. Diffs and caches rely on identity and never compare contents.
"""
