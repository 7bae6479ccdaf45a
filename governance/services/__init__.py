"""Services that filters ask over gRPC, through the mesh's own clusters: a room of its own because it needs grpc and the
wire's messages, which decisions do not. The mesh hands `Services` to the runtime; filters know only `actions.Service`.
"""
