"""What changed, who is told, and how: from worlds to discovery responses, without I/O.

`changes` says what differs between two worlds, as keys (kind, name, namespace) that istiod would have put into a push
request. `client` holds one connected proxy and answers for one resource type at a time, in full or only what the keys
touch. `sotw` and `delta` are the two variants of the protocol around it. `cache` keeps encoded resources by what they
were made of, so that a change costs what it touches and a second client of a namespace costs little.

The rule that holds the package together: whether a type is pushed, and which of its resources, follows istiod's own
tables (`rules`), since clients are tested against those; what a resource holds is never decided here.
"""
