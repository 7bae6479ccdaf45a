"""Inside the aiohttp suites: one client call is an `Exchange`, each of its tries an `Attempt` over a connection of the
mesh's.

aiohttp's own `ClientRequest.send` writes the request, unless it is an ordinary one (`writing`), and its own
`ResponseHandler` parses the response; the mesh makes the connections, gives one to each try, and is told when the
library has released it.
"""
