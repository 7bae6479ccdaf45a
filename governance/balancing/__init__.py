"""Which endpoint of a cluster takes the next request.

In: the endpoints of an assignment by priority (`host_set`), the policy and its parameters, and what the process gives
(`setting`: chance, time, its own place). Out: a `Pick`, made anew when endpoints come, go or change their health
(`build`), which costs the same for ten endpoints and for ten thousand.

    build    the policy's name -> how to pick
    spread   a priority by its load (`loads`), a locality by weight (`localities`) or by zone (`zones`), a host by
             turns, load or chance (`policies`), slowly at first (`slow_start`)
    hashed   a priority by the request's hash, a host by its table: ring hash and maglev plug in here

What must survive lives elsewhere: in `HostState` what is known of an address, in `Memory` whose turn it is.
"""
