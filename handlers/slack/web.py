"""Slack's SDK on our way out: its methods, arguments and answers, over `handlers.http`.

The SDK by itself follows redirects, takes proxies from the environment and asks nobody where it connects to. `api_call` is the
one door of all its methods, so that is what is replaced. This module is the only one that knows the SDK.
"""

from __future__ import annotations

import json as encoder
from typing import Any
from urllib.parse import urlencode

from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse, WebClient

from handlers.http import PASSING, Outbound, host_of, retry_after
from handlers.message import Rejected, Undelivered
from handlers.slack.trouble import refusal

# A page of messages with their blocks; one that is longer is cut, and then no JSON.
ANSWER_BYTES = 8 * 1024 * 1024
# Slack's limits are some seconds; without a word from it this is its own advice for posting.
_REST_S = 1.0


class Client(WebClient):
    """Raises Undelivered or Refused where the SDK raises SlackApiError."""

    def __init__(self, token: str, api_url: str, out: Outbound) -> None:
        super().__init__(base_url=api_url)
        self._secret = token
        self._out = out

    def api_call(
        self,
        api_method: str,
        *,
        http_verb: str = "POST",
        files: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        json: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        auth: dict[str, Any] | None = None,
    ) -> SlackResponse:
        """JSON as JSON, `params` and `data` as a form, which every method takes."""
        # slack_sdk gives these to uploads and sign-in alone, which are none of ours; left out in silence they would be a bug.
        assert not any((files, headers, auth)), "only messages go out here"
        if json is not None:
            kind, body = "application/json; charset=utf-8", encoder.dumps(json, ensure_ascii=False)
        else:
            kind, body = "application/x-www-form-urlencoded", urlencode(_form({**(params or {}), **(data or {})}))
        url = f"{self.base_url}{api_method}"
        answer = self._out.ask(
            url,
            body.encode("utf-8", "replace"),
            {"content-type": kind, "authorization": f"Bearer {self._secret}", "accept-encoding": "identity"},
            most=ANSWER_BYTES,
        )
        patience = retry_after(answer.headers.get("retry-after"))
        if answer.status == 429:
            raise refusal("ratelimited", retry_after=patience or _REST_S)
        if answer.status in PASSING or answer.status >= 500:
            raise Undelivered(f"{host_of(url)} answered {answer.status}", retry_after=patience)
        if 300 <= answer.status < 400:
            raise Rejected(f"{host_of(url)} answered {answer.status}: it is elsewhere, and redirects are not followed")
        said = _document(answer.body, host_of(url), answer.status)
        response = SlackResponse(
            client=self,
            http_verb=http_verb,
            api_url=url,
            req_args={},
            data=said,
            headers=dict(answer.headers),
            status_code=answer.status,
        )
        try:
            response.validate()  # type: ignore[no-untyped-call]  # the SDK has no types here
            return response
        except SlackApiError:
            code, needed = str(said.get("error", "no reason was given")), str(said.get("needed") or "")
            raise refusal(code, needed, patience) from None


def _form(values: dict[str, Any]) -> dict[str, str]:
    plain = {key: str(int(value)) if isinstance(value, bool) else str(value) for key, value in values.items()}
    return {key: text for key, text in plain.items() if values[key] is not None}


def _document(body: bytes, host: str, status: int) -> dict[str, Any]:
    try:
        said = encoder.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Undelivered(f"{host} answered {status} with something that is not Slack's JSON")
    return said
