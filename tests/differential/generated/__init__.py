"""Cases that nobody wrote: configurations and requests drawn from a seed, under Envoy and under proxyless.

Hypothesis draws `Case`s (a route table, options of the connection manager, requests that aim at its routes and just
miss them). A batch of them runs in one Envoy, each behind a port of its own, so that cases do not know of each other.
What differs is made smaller, many candidates in one Envoy again, until nothing can be left out, and printed as an entry
for `found.py`, which is run for ever after. What was hit is counted, and has to reach a minimum.

    python -m tests.differential.generated --requests 20000 --seed 7
"""
