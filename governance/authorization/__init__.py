"""Authorization: conditions on a request or a connection, compiled when the configuration comes.

What comes in is the data of `xds.model.rbac` and, for each decision, a `Question`: one request or connection, as far as
conditions may ask about it. What goes out is the policy that decides, if any. Envoy looks at policies one after the
other, in the order of their names, and the first that matches decides; here an index says which of them may match at
all (`index`), and only those are tried, in the same order. The rule that holds it together: what an index leaves out
could not have matched, and what it leaves in is tested in full.
"""
