"""ADS as a state machine: events in, requests out; no grpc, no clock, no thread.

What a stream has to do is told by events (it opened, a response came, names are wanted) and answered by requests.
Two variants share one interface (`AdsMachine`): `sotw` (state of the world: each response is all there is, each request
repeats all names) and `delta` (changes only; subscriptions and acknowledgements travel apart). The rule that holds the
room together: what is subscribed outlives the stream. Whatever is lost in between, the first requests of the next
stream say all of it again, and nothing that is held is given up because a stream ended.
"""
