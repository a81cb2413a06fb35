"""A mail server on loopback that takes mail only over STARTTLS and from who can log in, and shows what it got."""

from __future__ import annotations

import email.message
import ssl
import threading
import time
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.peers.kubernetes.pki import Authority
from tests.peers.kubernetes.programs import lasting_port


class _Box(Message):
    """Answers as it is told, and keeps what it took."""

    def __init__(self, peer: SmtpServer) -> None:
        super().__init__()
        self._peer = peer

    def handle_message(self, message: email.message.Message) -> None:
        self._peer.keep(message)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self._peer.refusal:
            return self._peer.refusal
        return await super().handle_DATA(server, session, envelope)


class SmtpServer:
    """`with SmtpServer(tmp_path) as mail:`; clients trust `mail.authority` and log in as `mail.user` with `mail.password`.

    `refusal`, while it is not empty, is the answer to each message: `452 4.3.1 try later`, `550 5.1.1 nobody here`.
    """

    host = "127.0.0.1"
    user = "gitops"
    password = "correct-horse-battery"

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder / "smtp-pki")
        serving = authority.issue("smtp", "smtp", hosts=(self.host, "localhost"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(serving.certificate, serving.key)
        self.authority = authority.certificate
        self.port = lasting_port()
        self.refusal = ""
        self.messages: list[email.message.Message] = []
        self._got = threading.Condition()
        self._controller = Controller(
            _Box(self),
            hostname=self.host,
            port=self.port,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            auth_require_tls=True,
            authenticator=self._knows,
        )

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def keep(self, message: email.message.Message) -> None:
        with self._got:
            self.messages.append(message)
            self._got.notify_all()

    def wait_for(self, count: int, seconds: float = 20) -> list[email.message.Message]:
        """The messages so far, as soon as there are that many."""
        deadline = time.monotonic() + seconds
        with self._got:
            if not self._got.wait_for(lambda: len(self.messages) >= count, deadline - time.monotonic()):
                raise AssertionError(f"{len(self.messages)} of {count} mails after {seconds:.0f} s")
            return list(self.messages)

    def _knows(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and (data.login, data.password) == (
            self.user.encode(),
            self.password.encode(),
        )
        return AuthResult(success=known, handled=known)
