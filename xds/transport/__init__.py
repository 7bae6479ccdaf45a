"""The one control thread: it drives protocol, wire and graph over a stream, and publishes snapshots.

`control.Control` owns the thread and everything that changes; others hand it work through a queue and read what it has
published. `link` is what a stream looks like (bytes in, bytes out): over grpc (`grpc_stream`), in process, or a
recording. Around it: `backoff` between attempts, `pacing` so that calls under way keep the interpreter, `cache` for the
last good configuration on disk, `dns` for clusters that DNS resolves. The rule that holds the room together: nothing a
stream does, or fails to do, takes away what is in force.
"""
