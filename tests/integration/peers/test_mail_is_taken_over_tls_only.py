"""The mail peer: nothing without TLS, nothing from strangers, refusals on demand."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.peers.smtp import SmtpServer


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[SmtpServer]:
    with SmtpServer(tmp_path) as server:
        yield server


def test_a_message_arrives(mail: SmtpServer) -> None:
    with _secured(mail) as client:
        client.login(mail.user, mail.password)
        client.send_message(_message())

    (message,) = mail.wait_for(1)
    assert message["Subject"] == "Run failed"


def test_nothing_is_taken_in_the_clear(mail: SmtpServer) -> None:
    with smtplib.SMTP(mail.host, mail.port, timeout=10) as client, pytest.raises(smtplib.SMTPException):
        client.send_message(_message())
    assert not mail.messages


def test_strangers_are_refused(mail: SmtpServer) -> None:
    with _secured(mail) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(mail.user, "wrong")
        with pytest.raises(smtplib.SMTPException):
            client.send_message(_message())
    assert not mail.messages


def test_it_refuses_when_it_is_told_to(mail: SmtpServer) -> None:
    mail.refusal = "452 4.3.1 try later"
    with _secured(mail) as client:
        client.login(mail.user, mail.password)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.send_message(_message())
    assert refused.value.smtp_code == 452
    assert not mail.messages


def _secured(mail: SmtpServer) -> smtplib.SMTP:
    client = smtplib.SMTP(mail.host, mail.port, timeout=10)
    client.starttls(context=ssl.create_default_context(cafile=str(mail.authority)))
    return client


def _message() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "gitops@example.com", "team@example.com", "Run failed"
    message.set_content("its last lines")
    return message
