"""An app behind the mesh's inbound chain: mTLS, policies, limits; probes and metrics past them at port 15020."""

from contextlib import asynccontextmanager

import uvicorn

import proxyless
import proxyless.asgi
import proxyless.probes
import proxyless.tls

PORT = 8080
mesh = proxyless.Mesh.from_env()


async def greet(scope, receive, send):
    if scope["type"] == "lifespan":
        async with probed():
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"" if scope["path"] == "/healthz" else b"good day\n"})


@asynccontextmanager
async def probed():
    with proxyless.probes.Probes(app, mesh, app_port=PORT):
        yield


app = proxyless.asgi.Middleware(greet, mesh)
if __name__ == "__main__":
    config = uvicorn.Config(app, host="0.0.0.0", port=PORT, access_log=False)
    uvicorn.Server(proxyless.tls.uvicorn(config, mesh)).run()
    mesh.close()
