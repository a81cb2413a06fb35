from __future__ import annotations

import io
from typing import Any

import pytest
from pydantic import ValidationError

from handlers import Console, Message

PLAIN: dict[str, Any] = {
    "id": "01",
    "key": "k",
    "event": "run.failed",
    "severity": "error",
    "at": "2026-01-02T03:04:05Z",
    "title": "main of fraud failed: no rows",
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def said(stream: io.StringIO | None = None, **also: Any) -> str:
    stream = stream or io.StringIO()
    Console({}, stream).send(Message(**PLAIN | also))
    return stream.getvalue()


def test_a_name_of_somebody_elses_cannot_pass_for_a_message_or_move_the_cursor() -> None:
    forged = "auc\n[error] run.failed \x1b]0;"
    text = said(run={"results": {forged: 1}}, details={forged: "\ud800"}, links={forged: "x"})
    assert [line for line in text.splitlines() if not line.startswith("    ")] == [
        "[error] run.failed main of fraud failed: no rows"
    ]
    assert "\x1b" not in text
    text.encode("utf-8")


def test_a_message_is_one_line_with_its_details_indented_below() -> None:
    text = said(
        repository="fraud",
        ref="refs/heads/main",
        commit={"sha": "a" * 40, "author": "Ada", "subject": "Better model", "url": None},
        run={
            "id": "01r",
            "workflow": "main",
            "state": "failed",
            "duration_s": 187.2,
            "results": {"auc": "0.9"},
            "error": {"type": "ValueError", "message": "no rows", "traceback": "line 1\nline 2"},
        },
        details={"reason": "", "stage": "load"},
        links={"run": "https://gitops.example.com/runs/01r"},
    )
    assert text == (
        "[error] run.failed main of fraud failed: no rows\n"
        "    repository fraud refs/heads/main\n"
        "    commit     aaaaaaaaaaaa Better model (Ada)\n"
        "    run        01r main failed after 3 min 7 s\n"
        "      auc      0.9\n"
        "    error      ValueError: no rows\n"
        "               line 1\n"
        "               line 2\n"
        "    stage      load\n"
        "    run        https://gitops.example.com/runs/01r\n"
    )


def test_a_message_without_details_is_one_line() -> None:
    assert said() == "[error] run.failed main of fraud failed: no rows\n"


def test_colours_are_for_terminals() -> None:
    assert "\x1b[31m[error]\x1b[0m" in said(Terminal())
    assert "\x1b" not in said()


def test_a_strangers_text_cannot_drive_the_terminal_nor_forge_a_line() -> None:
    text = said(
        Terminal(),
        title="x\n[info] run.succeeded all is well\x1b[2J",
        commit={"sha": "a", "subject": "\x1b]0;owned\x07\u202eevil", "author": "\x9b31m"},
        details={"a": "\rx"},
    )
    assert text.count("\n") == 3
    assert text.replace("\x1b[31m[error]\x1b[0m", "").isprintable() is False  # line ends
    assert not [c for c in text.replace("\x1b[31m", "").replace("\x1b[0m", "") if c in "\x1b\x07\x9b\r\u202e"]


def test_it_has_no_options() -> None:
    with pytest.raises(ValidationError):
        Console({"colour": True})
