"""What Slack takes and what it answers, as tables with the source of every row; the rest of the stand-in only reads them.

Sources are pages of docs.slack.dev (`docs: page, section`), modules of slack-sdk (`sdk: module`) and threads of its makers on
GitHub (`repo#number`). Where none was found, the row says so and by which rule it was filled in: always the stricter one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_BLOCKS = "docs: reference/block-kit/blocks/{}-block; sdk: models.blocks.blocks"
_ELEMENTS = "docs: reference/block-kit/block-elements/{}-element; sdk: models.blocks.block_elements"
_TEXT = "docs: reference/block-kit/composition-objects/text-object; sdk: models.blocks.basic_components"
_CONFIRM = (
    "docs: reference/block-kit/composition-objects/confirmation-dialog-object; sdk: models.blocks.basic_components"
)
_RICH = "docs: reference/block-kit/blocks/rich-text-block; sdk: models.blocks.block_elements"
_TABLE = "docs: reference/block-kit/blocks/table-block; sdk: models.blocks.blocks"
_ATTACHMENT = "docs: legacy/legacy-messaging/legacy-secondary-message-attachments; sdk: models.attachments"
_METADATA = "docs: messaging/message-metadata"
_METHOD = "docs: reference/methods/{}, {}"
_LIMITS = "docs: apis/web-api/rate-limits"
_WEBHOOK = "docs: changelog/2016-05-17-changes-to-errors-for-incoming-webhooks"
_HOOKS = "docs: messaging/sending-messages-using-incoming-webhooks, Handling errors"
_STRICT = "not found; strict: Slack would take it, but nobody means it"

Kind = Literal[
    "string", "url", "bool", "number", "plain_text", "mrkdwn", "text", "choice", "object", "list", "rows", "id"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What may stand at one key. `least` and `most` count characters, or a list's items; `of` are choices, or shapes by name."""

    kind: Kind
    source: str
    required: bool = False
    least: int = 0
    most: int | None = None
    of: tuple[str, ...] = ()
    each: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """An object of Block Kit: any key that is not here is an error. `one_of`: at least one of these has to be there."""

    fields: Mapping[str, Field]
    source: str
    one_of: tuple[str, ...] = ()
    only_one: bool = False


def _shape(source: str, one_of: tuple[str, ...] = (), *, only_one: bool = False, **fields: Field) -> Shape:
    return Shape(fields=fields, source=source, one_of=one_of, only_one=only_one)


def _string(source: str, most: int | None = None, *, least: int = 1, required: bool = False) -> Field:
    return Field(kind="string", source=source, most=most, least=least, required=required)


def _flag(source: str) -> Field:
    return Field(kind="bool", source=source)


def _block(name: str, one_of: tuple[str, ...] = (), *, only_one: bool = False, **fields: Field) -> Shape:
    source = _BLOCKS.format(name.replace("_", "-"))
    return _shape(source, one_of, only_one=only_one, block_id=_string(source, 255), **fields)


_SECTION = _BLOCKS.format("section")
_HEADER = _BLOCKS.format("header")
_IMAGE = _BLOCKS.format("image")
_BUTTON = _ELEMENTS.format("button")
_IMAGE_ELEMENT = _ELEMENTS.format("image")
_STYLED = Field(kind="object", source=_RICH, of=("style",))

# --- Block Kit -----------------------------------------------------------------------------------------------------

BLOCKS: dict[str, Shape] = {
    "section": _block(
        "section",
        ("text", "fields"),
        text=Field(kind="text", source=_SECTION, least=1, most=3000),
        fields=Field(kind="list", source=_SECTION, least=1, most=10, of=("plain_text", "mrkdwn"), each=2000),
        accessory=Field(kind="object", source=_SECTION, of=("button", "image")),
        expand=_flag(_SECTION),
    ),
    "divider": _block("divider"),
    "header": _block("header", text=Field(kind="plain_text", source=_HEADER, required=True, least=1, most=150)),
    "image": _block(
        "image",
        ("image_url", "slack_file"),
        only_one=True,
        image_url=Field(kind="url", source=_IMAGE, most=3000),
        slack_file=Field(kind="object", source=_IMAGE, of=("slack_file",)),
        alt_text=_string(_IMAGE, 2000, required=True),
        title=Field(kind="plain_text", source=_IMAGE, least=1, most=2000),
    ),
    "actions": _block(
        "actions",
        elements=Field(kind="list", source=_BLOCKS.format("actions"), required=True, least=1, most=25, of=("button",)),
    ),
    "context": _block(
        "context",
        elements=Field(
            kind="list",
            source=_BLOCKS.format("context") + "; an element's text: not found; by the rule of text objects, 3000",
            required=True, least=1, most=10, of=("plain_text", "mrkdwn", "image"), each=3000,
        ),
    ),
    "markdown": _block("markdown", text=_string(_BLOCKS.format("markdown"), 12_000, required=True)),
    "rich_text": _block(
        "rich_text",
        elements=Field(
            kind="list", source=_RICH, required=True, least=1,
            of=("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"),
        ),
    ),
    "table": _block(
        "table",
        rows=Field(kind="rows", source=_TABLE, required=True, least=1, most=100, each=20, of=("raw_text", "rich_text")),
        column_settings=Field(kind="list", source=_TABLE, most=20, of=("column_settings",)),
    ),
}  # fmt: skip

# Slack has these too; no message of ours is made of them, so here they are unknown.
NOT_MODELLED = (
    "alert", "auth_provider", "call", "card", "carousel", "container", "context_actions", "file", "input", "plan",
    "task_card", "video",
)  # fmt: skip

OBJECTS: dict[str, Shape] = {
    "plain_text": _shape(_TEXT, text=_string(_TEXT, 3000, required=True), emoji=_flag(_TEXT)),
    "mrkdwn": _shape(
        _TEXT, text=Field(kind="mrkdwn", source=_TEXT, least=1, most=3000, required=True), verbatim=_flag(_TEXT)
    ),
    "button": _shape(
        _BUTTON,
        text=Field(kind="plain_text", source=_BUTTON, required=True, least=1, most=75),
        action_id=_string(_BUTTON, 255),
        url=Field(kind="url", source=_BUTTON, most=3000),
        value=_string(_BUTTON, 2000),
        style=Field(kind="choice", source=_BUTTON, of=("primary", "danger")),
        confirm=Field(kind="object", source=_BUTTON, of=("confirm",)),
        accessibility_label=_string(_BUTTON, 75),
    ),
    "confirm": _shape(
        _CONFIRM,
        title=Field(kind="plain_text", source=_CONFIRM, required=True, least=1, most=100),
        text=Field(kind="text", source=_CONFIRM, required=True, least=1, most=300),
        confirm=Field(kind="plain_text", source=_CONFIRM, required=True, least=1, most=30),
        deny=Field(kind="plain_text", source=_CONFIRM, required=True, least=1, most=30),
        style=Field(kind="choice", source=_CONFIRM, of=("primary", "danger")),
    ),
    "slack_file": _shape(
        _IMAGE, ("id", "url"), only_one=True, id=_string(_IMAGE), url=Field(kind="url", source=_IMAGE)
    ),
    "rich_text": BLOCKS["rich_text"],
    "image": _shape(
        _IMAGE_ELEMENT,
        ("image_url", "slack_file"),
        only_one=True,
        image_url=Field(kind="url", source=_IMAGE_ELEMENT, most=3000),
        slack_file=Field(kind="object", source=_IMAGE_ELEMENT, of=("slack_file",)),
        alt_text=_string(_IMAGE_ELEMENT, 2000, required=True),
    ),
    "rich_text_section": _shape(
        _RICH,
        elements=Field(
            kind="list", source=_RICH, required=True,
            of=("rich.text", "rich.link", "rich.emoji", "rich.user", "rich.channel", "rich.broadcast"),
        ),
    ),
    "rich_text_list": _shape(
        _RICH,
        style=Field(kind="choice", source=_RICH, required=True, of=("bullet", "ordered")),
        elements=Field(kind="list", source=_RICH, required=True, of=("rich_text_section",)),
        indent=Field(kind="number", source=_RICH),
        offset=Field(kind="number", source=_RICH),
        border=Field(kind="number", source=_RICH),
    ),
    "rich_text_preformatted": _shape(
        _RICH,
        elements=Field(kind="list", source=_RICH, required=True, of=("rich.text", "rich.link")),
        border=Field(kind="number", source=_RICH),
        language=_string(_RICH),
    ),
    "rich_text_quote": _shape(
        _RICH,
        elements=Field(kind="list", source=_RICH, required=True, of=("rich.text", "rich.link", "rich.emoji")),
        border=Field(kind="number", source=_RICH),
    ),
    "rich.text": _shape(_RICH, text=_string(_RICH, required=True), style=_STYLED),
    "rich.link": _shape(
        _RICH, url=Field(kind="url", source=_RICH, required=True), text=_string(_RICH), style=_STYLED, unsafe=_flag(_RICH)
    ),
    "rich.emoji": _shape(_RICH, name=_string(_RICH, required=True), unicode=_string(_RICH), style=_STYLED),
    "rich.user": _shape(_RICH, user_id=_string(_RICH, required=True), style=_STYLED),
    "rich.channel": _shape(_RICH, channel_id=_string(_RICH, required=True), style=_STYLED),
    "rich.broadcast": _shape(
        _RICH, range=Field(kind="choice", source=_RICH, required=True, of=("here", "channel", "everyone")), style=_STYLED
    ),
    "style": _shape(
        _RICH, bold=_flag(_RICH), italic=_flag(_RICH), strike=_flag(_RICH), code=_flag(_RICH), underline=_flag(_RICH)
    ),
    "raw_text": _shape(_TABLE, text=_string(_TABLE, required=True)),
    "column_settings": _shape(
        _TABLE, align=Field(kind="choice", source=_TABLE, of=("left", "center", "right")), is_wrapped=_flag(_TABLE)
    ),
    "attachment": _shape(
        _ATTACHMENT,
        ("blocks", "text", "fallback"),
        blocks=Field(kind="list", source=_ATTACHMENT, least=1, most=50, of=tuple(BLOCKS)),
        color=_string(_ATTACHMENT + ", good, warning, danger or a hex code"),
        fallback=_string(_ATTACHMENT),
        text=Field(kind="mrkdwn", source=_ATTACHMENT, least=1),
        pretext=Field(kind="mrkdwn", source=_ATTACHMENT, least=1),
        title=_string(_ATTACHMENT),
        title_link=Field(kind="url", source=_ATTACHMENT),
        fields=Field(kind="list", source=_ATTACHMENT, of=("attachment_field",)),
        footer=_string(_ATTACHMENT, 300),
        ts=Field(kind="number", source=_ATTACHMENT),
        mrkdwn_in=Field(kind="list", source=_ATTACHMENT, of=("string",)),
    ),
    "attachment_field": _shape(
        _ATTACHMENT, title=_string(_ATTACHMENT), value=Field(kind="mrkdwn", source=_ATTACHMENT), short=_flag(_ATTACHMENT)
    ),
}  # fmt: skip

# Objects whose `type` is no part of them: where they may stand, nothing else may.
UNTYPED = frozenset({"confirm", "slack_file", "style", "column_settings", "attachment", "attachment_field"})


# --- whole messages ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    most: int
    answer: str
    source: str


LIMITS: dict[str, Limit] = {
    "blocks": Limit(
        most=50, answer="invalid_blocks", source="docs: reference/block-kit/blocks, up to 50 blocks in each message"
    ),
    "characters of all blocks": Limit(
        most=9_600,
        answer="msg_blocks_too_long",
        source="slackapi/bolt-js#2509 (12,000 characters, less a buffer for each block) and #2867 (9,597 were taken in 50 "
        "blocks, 11,341 refused in 45); strict: the most that is known to have been taken",
    ),
    "markdown in all blocks": Limit(
        most=12_000, answer="msg_blocks_too_long", source="docs: reference/block-kit/blocks/markdown-block, cumulative"
    ),
    "text": Limit(
        most=4_000,
        answer="msg_too_long",
        source="docs: reference/methods/chat.postMessage, Truncating content: keep to 4,000, cut beyond 40,000; "
        "seratch/ChatGPT-in-Slack#102: 4,000 and more can be msg_too_long by now; strict: 4,000",
    ),
    "attachments": Limit(
        most=100, answer="too_many_attachments", source=_METHOD.format("chat.postMessage", "Errors: a maximum of 100")
    ),
    "bytes of metadata": Limit(
        most=8_000,
        answer="metadata_too_large",
        source=_METHOD.format("chat.postMessage", "Errors: metadata exceeds size limit")
        + "; the size: not found; strict: 8,000 bytes of JSON",
    ),
    "characters of event_type": Limit(
        most=255,
        answer="invalid_metadata_format",
        source=_METADATA + ": alphanumeric; the length: not found; by the rule of other identifiers, 255",
    ),
    "bytes of a request": Limit(
        most=1_000_000, answer="request_timeout", source="not found; strict: a megabyte, where messages have kilobytes"
    ),
}

# `<`, `>` and `&` that form nothing are taken by Slack, which then shows something nobody meant.
ESCAPING = "docs: messaging/formatting-message-text, Escaping text: they must be converted; strict: refused, Slack would take it"
# Somebody's text that calls a whole channel is the trouble that escaping is there to prevent.
MENTIONS = (
    "docs: messaging/formatting-message-text, Special mentions; strict: refused unless the peer is told to allow them"
)
COUNTED = (
    "how Slack counts characters: not found; strict: as UTF-16, which is never less than the sdk's code points, and as sent, "
    "an escaped & as five"
)

# --- methods -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    kind: Literal["string", "bool", "number", "blocks", "attachments", "metadata", "ts", "channel", "cursor", "types"]
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """`burst` calls at once, then one each `every_s` seconds. `a_channel`: counted for each channel by itself."""

    burst: int
    every_s: float
    source: str
    a_channel: bool = False


_BURST = "; how long a burst: not found; strict: {}"
POSTING = Pace(
    burst=5, every_s=1.0, a_channel=True,
    source=_LIMITS + ", chat.postMessage: one message a second a channel, short bursts more" + _BURST.format(5),
)  # fmt: skip
TIER_2 = Pace(burst=20, every_s=3.0, source=_LIMITS + ", Tier 2: 20 a minute" + _BURST.format("a minute's worth"))
TIER_3 = Pace(
    burst=50, every_s=1.2,
    source=_LIMITS + ", Tier 3: 50 a minute (1 and 15 messages a page for apps sold outside the Marketplace, which a team's "
    "own app is not)" + _BURST.format("a minute's worth"),
)  # fmt: skip
TIER_4 = Pace(burst=100, every_s=0.6, source=_LIMITS + ", Tier 4: 100 a minute" + _BURST.format("a minute's worth"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """`scopes` by the kind of channel (`public`, `private`; `any` where it makes no difference)."""

    arguments: Mapping[str, Argument]
    pace: Pace
    source: str
    verbs: tuple[str, ...] = ("POST",)
    scopes: Mapping[str, str] | None = None


def _arguments(*required: str, **optional: str) -> dict[str, Argument]:
    kinds = {"channel": "channel", "ts": "ts", "message_ts": "ts"}
    return {
        **{name: Argument(kind=kinds[name], required=True) for name in required},  # type: ignore[arg-type] # from a literal
        **{name: Argument(kind=kind) for name, kind in optional.items()},  # type: ignore[arg-type] # from literals
    }


_READ = ("GET", "POST")
_HISTORY = {"public": "channels:history", "private": "groups:history"}
_SEEING = {"public": "channels:read", "private": "groups:read"}
_PAGE = {"cursor": "cursor", "limit": "number", "oldest": "ts", "latest": "ts", "inclusive": "bool"}

METHODS: dict[str, Method] = {
    "api.test": Method(
        arguments={"error": Argument(kind="string"), "foo": Argument(kind="string")},
        pace=TIER_4, source=_METHOD.format("api.test", "Facts"),
    ),
    "auth.test": Method(
        arguments={}, pace=TIER_4, source=_METHOD.format("auth.test", "Facts: hundreds a minute; strict: Tier 4"),
    ),
    "chat.postMessage": Method(
        arguments=_arguments(
            "channel", text="string", blocks="blocks", attachments="attachments", thread_ts="ts", reply_broadcast="bool",
            metadata="metadata", unfurl_links="bool", unfurl_media="bool", mrkdwn="bool", link_names="bool", parse="string",
            username="string", icon_emoji="string", icon_url="string",
        ),
        scopes={"any": "chat:write"}, pace=POSTING, source=_METHOD.format("chat.postMessage", "Arguments"),
    ),
    "chat.update": Method(
        arguments=_arguments(
            "channel", "ts", text="string", blocks="blocks", attachments="attachments", metadata="metadata",
            link_names="bool", parse="string", reply_broadcast="bool",
        ),
        scopes={"any": "chat:write"}, pace=TIER_3, source=_METHOD.format("chat.update", "Arguments"),
    ),
    "chat.getPermalink": Method(
        arguments=_arguments("channel", "message_ts"), verbs=_READ, pace=TIER_4,
        source=_METHOD.format("chat.getPermalink", "Facts"),
    ),
    "conversations.info": Method(
        arguments=_arguments("channel", include_locale="bool", include_num_members="bool"),
        verbs=_READ, scopes=_SEEING, pace=TIER_3, source=_METHOD.format("conversations.info", "Arguments"),
    ),
    "conversations.list": Method(
        arguments=_arguments(cursor="cursor", exclude_archived="bool", limit="number", types="types"),
        verbs=_READ, scopes=_SEEING, pace=TIER_2, source=_METHOD.format("conversations.list", "Arguments"),
    ),
    "conversations.history": Method(
        arguments=_arguments("channel", include_all_metadata="bool", **_PAGE),
        verbs=_READ, scopes=_HISTORY, pace=TIER_3, source=_METHOD.format("conversations.history", "Arguments"),
    ),
    "conversations.replies": Method(
        arguments=_arguments("channel", "ts", include_all_metadata="bool", **_PAGE),
        verbs=_READ, scopes=_HISTORY, pace=TIER_3, source=_METHOD.format("conversations.replies", "Arguments"),
    ),
}  # fmt: skip
PAGE_MOST = 999
PAGE_SOURCE = _METHOD.format("conversations.history", "limit: at most 999, 100 by default")

# What a sender's own name or picture needs.
CUSTOMIZE = ("username", "icon_emoji", "icon_url")
CUSTOMIZE_SOURCE = "docs: reference/scopes/chat.write.customize"
# A body as JSON may come with these methods; reading ones take forms.
JSON_METHODS = frozenset(METHODS)

# Every code that the stand-in may answer, beside those of the limits above, and where Slack says so.
ANSWERS: dict[str, str] = {
    "unknown_method": "docs: apis/web-api; a method that is not in METHODS, strict: also one that Slack has",
    "not_authed": _METHOD.format("auth.test", "Errors: no authentication token provided"),
    "invalid_auth": _METHOD.format("auth.test", "Errors")
    + "; a token in the query: docs: changelog/2020-11-no-more-tokens-in-querystrings-for-newly-created-apps",
    "token_revoked": _METHOD.format("auth.test", "Errors"),
    "account_inactive": _METHOD.format("auth.test", "Errors"),
    "missing_scope": _METHOD.format("chat.postMessage", "Errors") + "; `needed` and `provided`: docs: authentication, scopes",
    "invalid_arguments": _METHOD.format("chat.postMessage", "Errors")
    + "; an argument that the method does not have: " + _STRICT,
    "invalid_arg_name": _METHOD.format("chat.postMessage", "Errors"),
    "invalid_json": "docs: apis/web-api, POST bodies",
    "json_not_object": "docs: apis/web-api, POST bodies",
    "invalid_form_data": _METHOD.format("chat.postMessage", "Errors"),
    "invalid_post_type": _METHOD.format("chat.postMessage", "Errors"),
    "missing_post_type": _METHOD.format("chat.postMessage", "Errors"),
    "invalid_charset": _METHOD.format("chat.postMessage", "Errors: utf-8 or iso-8859-1"),
    "channel_not_found": _METHOD.format("chat.postMessage", "Errors")
    + "; a name where an id is asked for: chat.update and conversations.*, Arguments",
    "not_in_channel": _METHOD.format("chat.postMessage", "Errors"),
    "is_archived": _METHOD.format("chat.postMessage", "Errors"),
    "no_text": _METHOD.format("chat.postMessage", "Errors"),
    "invalid_blocks": _METHOD.format("chat.update", "Errors") + "; the messages: slackapi/bolt-js#2509, sdk tests",
    "invalid_blocks_format": _METHOD.format("chat.update", "Errors"),
    "invalid_attachments": _METHOD.format("chat.update", "Errors"),
    "invalid_metadata_format": _METHOD.format("chat.update", "Errors"),
    "invalid_metadata_schema": _METHOD.format("chat.update", "Errors"),
    "thread_not_found": _METHOD.format("conversations.replies", "Errors")
    + "; for chat.postMessage: not found; by the same rule, and for a reply's ts too (Arguments: use its parent's)",
    "message_not_found": _METHOD.format("chat.update", "Errors"),
    "cant_update_message": _METHOD.format("chat.update", "Errors"),
    "edit_window_closed": _METHOD.format("chat.update", "Errors"),
    "is_inactive": _METHOD.format("chat.update", "Errors: within a frozen, archived or deleted channel"),
    "invalid_ts_latest": _METHOD.format("conversations.history", "Errors"),
    "invalid_ts_oldest": _METHOD.format("conversations.history", "Errors"),
    "invalid_cursor": _METHOD.format("conversations.history", "Errors"),
    "ratelimited": _LIMITS + ": HTTP 429, Retry-After in seconds",
    "internal_error": _METHOD.format("chat.update", "Errors: some of it may have succeeded"),
    "fatal_error": _METHOD.format("chat.update", "Errors: some of it may have succeeded"),
    "service_unavailable": _METHOD.format("chat.update", "Errors"),
}  # fmt: skip

WARNINGS: dict[str, str] = {
    "missing_charset": "docs: apis/web-api, POST bodies: JSON without a charset is taken with a warning",
    "superfluous_charset": "docs: apis/web-api, POST bodies: a form needs no charset",
    "missing_text_in_message": "docs: changelog/2021-04; sdk: web.internal_utils warns of blocks without text, the fallback",
}

# --- incoming webhooks ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """An incoming webhook's answer: a status and one word as text."""

    status: int
    source: str


WEBHOOK_ANSWERS: dict[str, Plain] = {
    "ok": Plain(status=200, source="docs: messaging/sending-messages-using-incoming-webhooks"),
    "invalid_payload": Plain(status=400, source=_WEBHOOK),
    "user_not_found": Plain(status=400, source=_WEBHOOK),
    "no_text": Plain(status=400, source=_HOOKS),
    "too_many_attachments": Plain(status=400, source=_HOOKS),
    "invalid_blocks": Plain(status=400, source="status: not found; by the rule of invalid_payload"),
    "invalid_blocks_format": Plain(status=400, source="status: not found; by the rule of invalid_payload"),
    "invalid_attachments": Plain(status=400, source="status: not found; by the rule of invalid_payload"),
    "msg_too_long": Plain(status=400, source="status: not found; by the rule of invalid_payload"),
    "msg_blocks_too_long": Plain(status=400, source="status: not found; by the rule of invalid_payload"),
    "metadata_too_large": Plain(status=400, source="status: not found; by the rule of invalid_payload"),
    "invalid_metadata_format": Plain(status=400, source="status: not found; by the rule of invalid_payload"),
    "invalid_metadata_schema": Plain(status=400, source="status: not found; by the rule of invalid_payload"),
    "invalid_token": Plain(status=403, source=_HOOKS),
    "action_prohibited": Plain(status=403, source=_WEBHOOK),
    "posting_to_general_channel_denied": Plain(status=403, source=_HOOKS),
    "channel_not_found": Plain(status=404, source=_WEBHOOK),
    "no_service": Plain(status=404, source=_HOOKS),
    "no_active_hooks": Plain(status=404, source=_HOOKS),
    "no_team": Plain(status=404, source=_HOOKS),
    "team_disabled": Plain(status=403, source=_HOOKS),
    "channel_is_archived": Plain(status=410, source=_WEBHOOK),
    "rollup_error": Plain(status=500, source=_WEBHOOK),
    "rate_limited": Plain(status=429, source=_LIMITS + ", incoming webhooks: one a second, short bursts more"),
}
# What a payload may have. Channel, name and picture cannot be overridden by an app's webhook.
WEBHOOK_FIELDS: dict[str, Argument] = _arguments(
    text="string", blocks="blocks", attachments="attachments", thread_ts="ts", unfurl_links="bool", unfurl_media="bool",
    metadata="metadata", mrkdwn="bool", link_names="bool",
)  # fmt: skip
WEBHOOK_FIELDS_SOURCE = (
    "docs: messaging/sending-messages-using-incoming-webhooks; sdk: webhook.client; node-slack-sdk: "
    "IncomingWebhookSendArguments; another field: " + _STRICT
)
