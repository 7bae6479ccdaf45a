"""A small DNS server on loopback."""

from __future__ import annotations

import socket
from threading import Thread
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Zone = dict[tuple[str, str], list[tuple[Any, ...]]]
"""(name, type) to records: owner, TTL, type, data ... A name that stands nowhere does not exist."""


class Names(Thread):
    """A server of a zone over UDP (and TCP where `tcp`)."""

    def __init__(self, zone: Zone, *, tcp: bool = False) -> None:
        super().__init__(daemon=True)
        self.zone = zone
        self.tcp = tcp
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        if tcp:
            self.socket.listen()
        self.port = self.socket.getsockname()[1]
        self.asked: list[str] = []

    def run(self) -> None:
        try:
            while True:
                if self.tcp:
                    peer, _ = self.socket.accept()
                    with peer, peer.makefile("rwb") as stream:
                        size = int.from_bytes(stream.read(2), "big")
                        answer = self.answer(stream.read(size))
                        stream.write(len(answer).to_bytes(2, "big") + answer)
                else:
                    query, address = self.socket.recvfrom(4096)
                    if not query:  # `close`
                        return
                    self.socket.sendto(self.answer(query), address)
        except OSError:
            return

    def answer(self, raw: bytes) -> bytes:
        query = dns.message.from_wire(raw)
        (question,) = query.question
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{name} {kind}")
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        found = self.zone.get((name, kind))
        if name == "broken.test.":
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif found is not None:
            for owner, ttl, type_, *data in found:
                reply.answer.append(dns.rrset.from_text(owner, ttl, "IN", type_, *data))
        elif not any(each == name for each, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()

    def close(self) -> None:
        if self.tcp:
            self.socket.shutdown(socket.SHUT_RDWR)
        else:
            self.socket.sendto(b"", ("127.0.0.1", self.port))
        self.socket.close()
