"""An incoming webhook: each message is said once, whole, since nothing can be edited and there is no thread to put more in.

So a run's progress is not said here: every step would be a message of its own, with nothing that the end does not say.
"""

from __future__ import annotations

import json
import logging
import re

from handlers.http import PASSING, Outbound, host_of, judge, retry_after
from handlers.memory import Memory
from handlers.message import Message, Undelivered
from handlers.slack.blocks import Said, whole
from handlers.slack.trouble import LOOKS, Refused, refusal

log = logging.getLogger(__name__)

_WORD = re.compile(r"[a-z_]{2,64}")


class Incoming:
    def __init__(self, url: str, out: Outbound) -> None:
        self._url = url
        self._out = out

    def send(self, message: Message, _memory: Memory) -> None:
        if message.event == "run.progress":
            return
        said = whole(message)
        try:
            self._post(said)
        except Refused as refused:
            if refused.code not in LOOKS:
                raise
            log.warning("Slack refused the looks of a message (%s); its plain text goes", refused.code)
            self._post(Said(said.text, []))

    def check(self) -> str:
        self._out.reach(self._url)
        return "its host answers"

    def _post(self, said: Said) -> None:
        looks = {"blocks": said.blocks} if said.blocks else {}
        payload = {"text": said.text, **looks, "unfurl_links": False, "unfurl_media": False}
        body = json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"content-type": "application/json; charset=utf-8", "accept-encoding": "identity"}
        answer = self._out.ask(self._url, body, headers)
        word = answer.body[:200].decode("utf-8", "replace").strip()
        patience = retry_after(answer.headers.get("retry-after"))
        if answer.status in PASSING:
            raise Undelivered(f"{host_of(self._url)} answered {answer.status}", retry_after=patience or 1.0)
        if answer.status >= 400 and _WORD.fullmatch(word):
            raise refusal(word, retry_after=patience)
        judge(host_of(self._url), answer)
