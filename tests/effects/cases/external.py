"""External authorization: who is asked, what is shown, and what becomes of a request by the answer."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Ask, Collect, Failure, Head
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.peer import Peer
from proxyless.governance.request import RequestView
from proxyless.xds.model.authorization_service import CheckAnswer, CheckQuery, HeaderChange, HttpCheck, HttpVerdict
from proxyless.xds.model.ext_authz import HttpAuthorizer
from proxyless.xds.model.filters import GrpcTarget

from ..registry import effect
from ..resources import Json, extension, inbound, shop, typed
from ..scene import Scene
from ..seeing import See

EXT = "envoy.extensions.filters.http.ext_authz.v3."
KIND = EXT + "ExtAuthz"
PER_ROUTE = EXT + "ExtAuthzPerRoute"
GRPC: Json = {
    "envoy_grpc": {"cluster_name": "b", "authority": "authz"},
    "initial_metadata": [{"key": "k", "value": "v"}],
    "timeout": "3s",
}
SERVER: Json = {"uri": "http://b", "cluster": "b", "timeout": "3s"}
SENT = [("x-a", "1"), ("x-b", "1"), ("content-length", "5")]
PEER = Peer(b"der", True, ("spiffe://a",), server_name="sni")
OK = CheckAnswer("ok")
NEVER: Json = {"default_value": {"numerator": 0}}


def filtered(fields: Json | None = None, **more: Any) -> Any:
    """A route behind the filter."""
    own = {"grpc_service": GRPC, "transport_api_version": "V3", **(fields or {})}
    return shop(filters=[extension(KIND, "authz", **own)], **more)


def by_http(http: Json | None = None, **fields: Any) -> Any:
    """The same with a service that speaks plain HTTP."""
    own = {"http_service": {"server_uri": SERVER, **(http or {})}, "transport_api_version": "V3", **fields}
    return shop(filters=[extension(KIND, "authz", **own)])


def per_route(**fields: Any) -> Json:
    return {"typed_per_filter_config": {"authz": typed(PER_ROUTE, **fields)}}


def checked(fields: Json | None = None, **settings: Any) -> Any:
    """A route that says more of the check."""
    return filtered(fields, route_fields=per_route(check_settings=settings))


def see(what: str, answer: object = OK) -> See:
    """What became of a call: `target`, `timeout`, `asked`, `status`, `headers`, `sent`, `dynamic`."""

    def look(scene: Scene) -> Any:
        targets: list[Any] = []
        asked: list[Any] = []

        class Service:
            def __init__(self, target: Any) -> None:
                self.target = target

        def authorizer(target: Any) -> Any:
            return Service(target)

        scene.world.runtime.authorizer = authorizer
        steps = scene.world.steps("http://shop/a", method="POST", headers=SENT)
        timeouts = []
        while isinstance(steps.action, Ask | Collect):
            action = steps.action
            if isinstance(action, Collect):
                action.body = b"hello"
                steps.answer(5)
                continue
            targets.append(getattr(action.service, "target", None))
            asked.append(action.request)
            timeouts.append(action.timeout_s)
            steps.answer(answer)
        dynamic = getattr(steps.call, "dynamic", None)
        steps.until(answers=[200] if steps.action is not None else ())
        arrived = steps.sent()[0].headers if steps.action is not None or not steps.reply else ()
        sent = sorted(pair for pair in arrived if pair[0] in (b"x-a", b"x-envoy-auth-failure-mode-allowed"))
        head = steps.head
        own = head.headers if isinstance(head, Head) else steps.reply.headers if steps.reply else ()
        return {
            "target": targets,
            "timeout": timeouts,
            "asked": [shown(each) for each in asked],
            "status": (steps.status, steps.reply.body if steps.reply else b""),
            "headers": sorted(pair for pair in own if pair[0].startswith(b"x-")),
            "sent": sent,
            "dynamic": dynamic,
        }[what]

    return look


def shown(asked: Any) -> Any:
    """A question without what differs each time."""
    if isinstance(asked, HttpCheck):
        return (
            asked.method,
            asked.path,
            sorted(pair for pair in asked.headers if pair[0] != b"x-request-id"),
            asked.body,
        )
    assert isinstance(asked, CheckQuery)
    shown_ = [pair for pair in asked.headers if pair[0] != b"x-request-id"]
    return shown_, asked.body, asked.raw_body, asked.raw_headers, asked.context, asked.metadata, asked.route_metadata


def who(scene: Scene) -> Any:
    """What is told of a peer."""
    scene.world.runtime.authorizer = lambda target: scene  # type: ignore[assignment, return-value]
    view = RequestView(b"GET", b"http", b"shop", b"/", [], "192.0.2.7")
    machine = InboundRequest(scene.world.runtime, view, 8080, peer=PEER).run()
    action = next(machine)
    assert isinstance(action, Ask)
    return action.request.source.certificate, action.request.server_name


FAILED = Failure("unreachable", "nobody")
DENIED = CheckAnswer("denied", body=b"because")
TOLD = CheckAnswer("denied", metadata={"who": "me"})
ODD = CheckAnswer("ok", invalid=True)
MOVED = CheckAnswer("ok", (HeaderChange(b":path", b"/moved"),))
ONE: Json = {"patterns": [{"exact": "x-a"}]}
BODY: Json = {"max_request_bytes": 9}
PART: Json = {"max_request_bytes": 2, "allow_partial_message": True}
CONDITION: Json = {"filter": "f", "path": [{"key": "k"}], "value": {"present_match": True}}
INVERTED: Json = {**CONDITION, "invert": True}
SAYS = HttpVerdict(200, ((b"x-a", b"9"), (b"x-b", b"9")))
REFUSES = HttpVerdict(403, ((b"x-a", b"9"), (b"x-b", b"9")))

asked, status, target, timeout = see("asked"), see("status"), see("target"), see("timeout")
failed, denied = see("status", FAILED), see("status", DENIED)
sends, answers = see("sent", SAYS), see("headers", SAYS)

MTLS = inbound(extension(KIND, "authz", grpc_service=GRPC, include_peer_certificate=True, include_tls_session=True))


def response(**fields: Any) -> Any:
    """What may be taken from an answer."""
    return by_http({"authorization_response": fields})


def request(**fields: Any) -> Any:
    """What may be shown."""
    return by_http({"authorization_request": fields})


def conditioned(condition: Json) -> Any:
    """Where metadata says so."""
    return filtered({"filter_enabled_metadata": condition})


RBAC = "envoy.extensions.filters.http.rbac.v3.RBAC"
ANYBODY: Json = {"permissions": [{"any": True}], "principals": [{"any": True}]}
SHADOW: Json = {"shadow_rules": {"policies": {"one": ANYBODY}}}


def named(policy: str = "one") -> Any:
    """A service that is asked where a policy of that name has taken the request, as istiod does it for CUSTOM."""
    condition: Json = {
        "filter": "envoy.filters.http.rbac",
        "path": [{"key": "shadow_effective_policy_id"}],
        "value": {"string_match": {"exact": policy}},
    }
    own = extension(KIND, "authz", grpc_service=GRPC, filter_enabled_metadata=condition)
    return shop(filters=[extension(RBAC, "envoy.filters.http.rbac", **SHADOW), own])


CASES = [
    effect(KIND + ".grpc_service", filtered(), denied, (403, b"because")),
    effect(KIND + ".grpc_service.envoy_grpc", filtered(), target, [GrpcTarget("b", "authz", (("k", "v"),))]),
    effect(KIND + ".grpc_service.initial_metadata", filtered(), target),
    effect(KIND + ".grpc_service.timeout", filtered(), timeout, [3.0]),
    effect(KIND + ".http_service", by_http(), see("status", REFUSES), (403, b"")),
    effect(KIND + ".failure_mode_allow", filtered({"failure_mode_allow": True}), failed, (200, b"")),
    effect(
        KIND + ".failure_mode_allow_header_add",
        filtered({"failure_mode_allow": True, "failure_mode_allow_header_add": True}),
        see("sent", FAILED),
    ),
    effect(KIND + ".with_request_body", filtered({"with_request_body": BODY}), asked),
    effect(
        KIND + ".clear_route_cache",
        filtered({"clear_route_cache": True}, match={"path": "/a"}),
        see("status", MOVED),
        (404, b""),
    ),
    effect(KIND + ".status_on_error", filtered({"status_on_error": {"code": "BadGateway"}}), failed, (502, b"")),
    effect(KIND + ".validate_mutations", filtered({"validate_mutations": True}), see("status", ODD), (500, b"")),
    effect(
        KIND + ".route_metadata_context_namespaces",
        filtered(
            {"route_metadata_context_namespaces": ["ns"]},
            route_fields={"metadata": {"filter_metadata": {"ns": {"a": "v"}}}},
        ),
        asked,
    ),
    effect(KIND + ".filter_enabled", filtered({"filter_enabled": NEVER}), denied, (200, b"")),
    effect(KIND + ".filter_enabled_metadata", conditioned(CONDITION), denied, (200, b"")),
    effect(KIND + ".filter_enabled_metadata.invert", conditioned(INVERTED), denied, (403, b"because")),
    effect(
        KIND + ".deny_at_disable",
        filtered({"filter_enabled": NEVER, "deny_at_disable": {"default_value": True, "runtime_key": "k"}}),
        status,
        (403, b""),
    ),
    effect(
        KIND + ".deny_at_disable.default_value",
        filtered({"filter_enabled": NEVER, "deny_at_disable": {"default_value": True, "runtime_key": "k"}}),
        status,
        (403, b""),
    ),
    effect(KIND + ".include_peer_certificate", shop(listeners=[MTLS]), who),
    effect(KIND + ".include_tls_session", shop(listeners=[MTLS]), who),
    effect(KIND + ".allowed_headers", filtered({"allowed_headers": ONE}), asked),
    effect(KIND + ".disallowed_headers", filtered({"disallowed_headers": ONE}), asked),
    effect(KIND + ".encode_raw_headers", filtered({"encode_raw_headers": True}), asked),
    effect(
        KIND + ".enable_dynamic_metadata_ingestion",
        filtered({"enable_dynamic_metadata_ingestion": False}),
        see("dynamic", TOLD),
        {},
    ),
    effect(
        KIND + ".max_denied_response_body_bytes",
        filtered({"max_denied_response_body_bytes": 3}),
        denied,
        (403, b"bec"),
    ),
    effect(
        "envoy.type.matcher.v3.ListStringMatcher.patterns",
        filtered({"disallowed_headers": ONE}),
        asked,
        against=filtered(),
    ),
    effect(EXT + "BufferSettings.allow_partial_message", filtered({"with_request_body": PART}), status, (200, b"")),
    effect(
        EXT + "BufferSettings.pack_as_bytes", filtered({"with_request_body": {**BODY, "pack_as_bytes": True}}), asked
    ),
    effect(
        PER_ROUTE + ".disabled",
        filtered(route_fields=per_route(disabled=True)),
        denied,
        (200, b""),
        against=filtered(),
    ),
    effect(PER_ROUTE + ".check_settings", checked(context_extensions={"a": "b"}), asked, against=filtered()),
    effect(EXT + "CheckSettings.context_extensions", checked(context_extensions={"a": "b"}), asked),
    effect(
        EXT + "CheckSettings.disable_request_body_buffering",
        checked({"with_request_body": BODY}, disable_request_body_buffering=True),
        asked,
    ),
    effect(EXT + "CheckSettings.with_request_body", checked(with_request_body=PART), asked),
    effect(
        EXT + "CheckSettings.with_request_body.allow_partial_message",
        checked(with_request_body=PART),
        status,
        (200, b""),
    ),
    effect(EXT + "CheckSettings.http_service", checked(http_service={"server_uri": SERVER}), target),
    effect(EXT + "CheckSettings.grpc_service", checked(grpc_service={**GRPC, "timeout": "7s"}), timeout, [7.0]),
    effect(EXT + "CheckSettings.grpc_service.timeout", checked(grpc_service={**GRPC, "timeout": "7s"}), timeout, [7.0]),
    effect(
        EXT + "CheckSettings.grpc_service.envoy_grpc",
        checked(grpc_service={"envoy_grpc": {"cluster_name": "a"}}),
        target,
        [GrpcTarget("a")],
    ),
    effect(
        EXT + "CheckSettings.grpc_service.initial_metadata",
        checked(grpc_service={**GRPC, "initial_metadata": [{"key": "other", "value": "v"}]}),
        target,
    ),
    effect(EXT + "HttpService.server_uri.cluster", by_http(), target, [HttpAuthorizer("b")]),
    effect(EXT + "HttpService.path_prefix", by_http({"path_prefix": "/pre"}), asked),
    effect(EXT + "HttpService.path_override", by_http({"path_override": "/always"}), asked),
    effect(EXT + "HttpService.authorization_request", request(allowed_headers=ONE), asked),
    effect(EXT + "HttpService.authorization_response", response(allowed_upstream_headers=ONE), sends),
    effect(EXT + "AuthorizationRequest.allowed_headers", request(allowed_headers=ONE), asked),
    effect(EXT + "AuthorizationRequest.headers_to_add", request(headers_to_add=[{"key": "x-c", "value": "1"}]), asked),
    effect(EXT + "AuthorizationResponse.allowed_upstream_headers", response(allowed_upstream_headers=ONE), sends),
    effect(
        EXT + "AuthorizationResponse.allowed_upstream_headers_to_append",
        response(allowed_upstream_headers_to_append=ONE),
        sends,
    ),
    effect(
        EXT + "AuthorizationResponse.allowed_client_headers",
        response(allowed_client_headers=ONE),
        see("headers", REFUSES),
        [(b"x-a", b"9")],
    ),
    effect(
        EXT + "AuthorizationResponse.allowed_client_headers_on_success",
        response(allowed_client_headers_on_success=ONE),
        answers,
    ),
    effect(
        EXT + "AuthorizationResponse.dynamic_metadata_from_headers",
        response(dynamic_metadata_from_headers=ONE),
        see("dynamic", REFUSES),
    ),
    effect(
        KIND + ".metadata_context_namespaces",
        shop(
            filters=[
                extension(RBAC, "envoy.filters.http.rbac", **SHADOW),
                extension(KIND, "authz", grpc_service=GRPC, metadata_context_namespaces=["envoy.filters.http.rbac"]),
            ]
        ),
        asked,
    ),
    effect(EXT + "HttpService.server_uri.timeout", by_http(), timeout, [3.0]),
    effect(EXT + "HttpService.server_uri", by_http(), timeout, [3.0]),
    *(
        effect(KIND + ".filter_enabled_metadata." + field, named(), denied, (403, b"because"), against=named("other"))
        for field in ("filter", "path", "value")
    ),
    effect(
        EXT + "BufferSettings.max_request_bytes",
        filtered({"with_request_body": PART}),
        asked,
        against=filtered({"with_request_body": {**PART, "max_request_bytes": 3}}),
    ),
    effect(
        EXT + "CheckSettings.with_request_body.max_request_bytes",
        checked(with_request_body=PART),
        asked,
        against=checked(with_request_body={**PART, "max_request_bytes": 3}),
    ),
]
