"""How it fails when it is told to: an answer in place of its own, late, in drips, without an end, or none at all."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fault:
    """For requests whose method and path match, `times` of them (0: all).

    `after`: it does what it was asked for, and answers like this all the same. `drop`: the connection ends without an answer.
    `status` 0 with a delay: its own answer, late. `drip_s`: a byte each so many seconds. `repeat`: the body so many times.
    """

    method: str = ".*"
    path: str = ".*"
    times: int = 1
    status: int = 0
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0
    drip_headers: bool = False
    repeat: int = 1
    after: bool = False
    drop: bool = False
    met: int = 0

    def fits(self, method: str, path: str) -> bool:
        if self.times and self.met >= self.times:
            return False
        if not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        self.met += 1
        return True


def send(handler: Any, fault: Fault) -> None:
    """The fault's answer instead of an own one."""
    body = fault.body.encode() * fault.repeat
    head = [f"HTTP/1.1 {fault.status} X", f"content-length: {len(body)}", "connection: close"]
    head += [f"{key}: {value}" for key, value in fault.headers.items()]
    first = ("\r\n".join(head) + "\r\n\r\n").encode()
    handler.close_connection = True
    if not fault.drip_headers:
        handler.wfile.write(first)
        first = b""
    if not fault.drip_s:
        handler.wfile.write(first + body)
        return
    for byte in first + body:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(fault.drip_s)
