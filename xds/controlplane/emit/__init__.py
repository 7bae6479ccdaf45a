"""A world as one proxy is to see it, in Envoy's messages, shaped and named as istiod does it.

Each module emits one kind of resource or one part of one. What comes in are a `Scope`, a `Proxy` and typed objects;
what goes out are messages of the private pool. The rule that holds the package together: emitting has no state and no
effect, the same inputs give the same message, so every result may be kept by its inputs (`discovery` does).

Names, defaults, orders and omissions are istiod's, also where they look odd (`alt_stat_name` of the inbound passthrough
cluster, the retry condition that can never hold in process): a client must not be able to tell.
"""
