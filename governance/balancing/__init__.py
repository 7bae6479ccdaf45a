"""Which endpoint of a cluster takes the next request.

In: the endpoints of an assignment and the cluster's policy. Out: a `Picker`, rebuilt when either changes, whose
`pick` costs the same for ten endpoints and for ten thousand. What must survive a rebuild (active requests, the position
of a round robin) lives in `HostState` and `PickerState`, keyed by cluster and address.
"""
