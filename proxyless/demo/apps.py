"""What the services of the shop do. They speak HTTP to each other by name and know nothing of versions or limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event

import httpx

from .web import Handler, Handlers, Request, Response

PASSED_ON = ("x-request-id", "x-user", "x-user-group")
"""Headers that a program behind Istio hands on to whom it calls."""

TOLD = ("x-served-by", "x-local-rate-limit")
"""Response headers that the storefront hands back."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a service is given: its instance's name and version, a governed client, and the gate of its slow handler."""

    name: str
    version: str
    client: httpx.AsyncClient
    gate: Event
    fails: bool = False


def storefront(part: Part) -> Handlers:
    """The shop's front door: each path leads to a service."""

    async def home(request: Request) -> Response:
        items, cart = await asyncio.gather(
            _ask(part, request, "GET", "http://catalog/items"), _ask(part, request, "GET", "http://cart/cart")
        )
        worst = max(items.status, cart.status)
        return Response({"catalog": items.document, "cart": cart.document}, worst, items.headers)

    return {
        ("GET", "/"): home,
        ("GET", "/items"): _forward(part, "GET", "http://catalog/items"),
        ("GET", "/cart"): _forward(part, "GET", "http://cart/cart"),
        ("GET", "/quote"): _forward(part, "GET", "http://checkout/quote"),
        ("GET", "/peek"): _forward(part, "GET", "http://checkout/peek"),
        ("POST", "/checkout"): _forward(part, "POST", "http://checkout/checkout"),
        ("GET", "/hello"): _reply(part, {"hello": "from the storefront"}),
    }


def catalog(part: Part) -> Handlers:
    """Says its version."""
    return {("GET", "/items"): _reply(part, {"version": part.version, "items": ["tea", "cup", "pot"]})}


def cart(part: Part) -> Handlers:
    """One of its instances is ill."""
    if part.fails:
        return {("GET", "/cart"): _reply(part, {"error": "this instance is ill"}, 503)}
    return {("GET", "/cart"): _reply(part, {"cart": []})}


def checkout(part: Part) -> Handlers:
    """Orders are paid at payment; a quote takes as long as the gate is closed; catalog is none of its business."""

    async def quote(request: Request) -> Response:
        del request
        if not part.gate.is_set():
            await asyncio.to_thread(part.gate.wait)
        return Response({"shipping": 4.9}, headers={"x-served-by": part.name})

    return {
        ("GET", "/quote"): quote,
        ("GET", "/peek"): _forward(part, "GET", "http://catalog/items"),
        ("POST", "/checkout"): _forward(part, "POST", "http://payment/pay"),
    }


def payment(part: Part) -> Handlers:
    """Takes the money."""
    return {("POST", "/pay"): _reply(part, {"paid": True})}


APPS: Mapping[str, Callable[[Part], Handlers]] = {
    "storefront": storefront,
    "catalog": catalog,
    "cart": cart,
    "checkout": checkout,
    "payment": payment,
}


def _reply(part: Part, document: dict[str, object], status: int = 200) -> Handler:
    async def handler(request: Request) -> Response:
        del request
        return Response(document, status, {"x-served-by": part.name})

    return handler


def _forward(part: Part, method: str, url: str) -> Handler:
    async def handler(request: Request) -> Response:
        return await _ask(part, request, method, url)

    return handler


async def _ask(part: Part, request: Request, method: str, url: str) -> Response:
    """Another service's answer, with its status: what the mesh itself answered comes through like this too."""
    headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
    answer = await part.client.request(method, url, headers=headers)
    told = {name: answer.headers[name] for name in TOLD if name in answer.headers}
    try:
        document = answer.json()
    except ValueError:
        document = {"error": answer.text}
    return Response(document, answer.status_code, told)
