"""What Slack's refusals mean: which pass by themselves, which mean that a message is gone, and how to mend the others."""

from __future__ import annotations

from handlers.message import Rejected, Undelivered

# Ours of going too fast: refused before anything was done.
TOO_FAST = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
# Slack's own trouble, in the middle of which it may have taken the message.
PASSING = frozenset(
    {
        "internal_error", "fatal_error", "service_unavailable",
        "request_timeout", "team_added_to_org", "accesslimited", "update_failed", "rollup_error",
    }
)  # fmt: skip
# The message that was to be edited, or the one whose thread it is.
GONE = frozenset(
    {
        "message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "cannot_reply_to_message",
    }
)  # fmt: skip
# Slack does not like how the message looks; its plain text says the same.
LOOKS = frozenset(
    {
        "invalid_blocks", "invalid_blocks_format", "block_mismatch", "msg_blocks_too_long", "msg_too_long",
        "invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large", "too_many_attachments",
    }
)  # fmt: skip

_RENEW = "put the app's present bot token into the handler's token_file (OAuth & Permissions has it)"
_INVITE = "invite the bot: write /invite @its-name in the channel"
_OPEN = "unarchive the channel, or name another in the handler's channel"
_CHANNEL = "check the handler's channel, best as an id (C...); a private one shows only to a bot that was invited"
_HOOK = "make a new incoming webhook in the app and put its address into the handler's url_file"
_ADMIN = "ask an administrator of the workspace"

MENDS: dict[str, str] = {
    "invalid_auth": _RENEW,
    "not_authed": _RENEW,
    "token_revoked": _RENEW,
    "token_expired": _RENEW,
    "account_inactive": _RENEW,
    "not_allowed_token_type": "use a bot's token (xoxb-)",
    "missing_scope": "add the scope to the app and install it anew",
    "not_in_channel": _INVITE,
    "channel_not_found": _CHANNEL,
    "is_archived": _OPEN,
    "is_inactive": _OPEN,
    "channel_is_archived": _OPEN,
    "restricted_action": _ADMIN,
    "restricted_action_read_only_channel": _ADMIN,
    "posting_to_general_channel_denied": _ADMIN,
    "no_permission": _ADMIN,
    "ekm_access_denied": _ADMIN,
    "org_login_required": _ADMIN,
    "team_access_not_granted": _ADMIN,
    "access_denied": _ADMIN,
    "msg_too_long": "the message is longer than Slack takes",
    "no_service": _HOOK,
    "no_active_hooks": _HOOK,
    "invalid_token": _HOOK,
    "no_team": _HOOK,
    "team_disabled": _ADMIN,
    "action_prohibited": _ADMIN,
}


class Refused(Rejected):
    """Slack said no, and would say so again. `code` is Slack's name for it."""

    def __init__(self, code: str, needed: str = "") -> None:
        mend = MENDS.get(code, "Slack's page on chat.postMessage says what that is")
        scope = f" ({needed})" if needed else ""
        super().__init__(f"Slack refused it: {code}{scope}; {mend}")
        self.code = code


class Untaken(Undelivered):
    """Slack has not taken it for sure, so nobody needs to look for it before it is said again."""


def refusal(code: str, needed: str = "", retry_after: float | None = None) -> Refused | Undelivered:
    """What to raise for an answer with `ok: false`, or a webhook's word."""
    if code in TOO_FAST:
        return Untaken(f"Slack asks for patience: {code}", retry_after=retry_after)
    if code in PASSING:
        return Undelivered(f"Slack could not take it: {code}", retry_after=retry_after)
    return Refused(code, needed)
