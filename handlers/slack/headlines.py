"""The first line of a message: what happened to what, and a picture that says how it went."""

from __future__ import annotations

from dataclasses import dataclass

from handlers.message import Message


@dataclass(frozen=True, slots=True)
class Headline:
    emoji: str
    words: str


# {it} is the run, the schedule or the project; {project} the project.
_HEADLINES: dict[str, tuple[str, str]] = {
    "delivery.rejected": ("⛔", "Webhook of {hook} rejected"),
    "sync.started": ("🔄", "{project}: sync began"),
    "sync.succeeded": ("✅", "{project} is in sync"),
    "sync.failed": ("❌", "{project}: sync failed"),
    "sync.superseded": ("⏭️", "{project}: passed over for a newer commit"),
    "config.saved": ("💾", "{project}: configuration saved"),
    "config.rolled-back": ("⏪", "{project}: rolled back"),
    "project.suspended": ("⏸️", "{project}: suspended"),
    "run.queued": ("⏳", "{project} · {workflow}: queued"),
    "run.started": ("▶️", "{project} · {workflow}: running"),
    "run.progress": ("▶️", "{project} · {workflow}: running"),
    "run.succeeded": ("✅", "{project} · {workflow}: succeeded"),
    "run.failed": ("❌", "{project} · {workflow}: failed"),
    "run.timed-out": ("⏱️", "{project} · {workflow}: took too long"),
    "run.lost": ("❓", "{project} · {workflow}: lost"),
    "run.cancelled": ("🚫", "{project} · {workflow}: {state}"),
    "schedule.created": ("📅", "{project} · {schedule}: scheduled"),
    "schedule.changed": ("📅", "{project} · {schedule}: schedule changed"),
    "schedule.removed": ("🗑️", "{project} · {schedule}: schedule removed"),
    "schedule.missed": ("⚠️", "{project} · {schedule}: missed"),
    "drift.detected": ("⚠️", "{project}: drifted from Git"),
    "drift.healed": ("✅", "{project}: as in Git again"),
    "preview.ready": ("🔎", "{project}: plan ready"),
}
_OF_SEVERITY = {"info": "ℹ️", "warning": "⚠️", "error": "❌"}


def headline(message: Message) -> Headline:
    """An event that is not known here says its title."""
    emoji, words = _HEADLINES.get(message.event, (_OF_SEVERITY.get(message.severity, "ℹ️"), ""))
    if not words:
        return Headline(emoji, message.title)
    run = message.run or {}
    names = {
        "project": message.project or message.repository or "?",
        "workflow": run.get("workflow") or "?",
        "state": run.get("state") or "cancelled",
        "schedule": message.details.get("schedule") or "?",
        "hook": message.details.get("hook") or message.repository or "?",
    }
    # Names are cut so that what happened is never cut off.
    return Headline(emoji, words.format(**{key: _short(str(name)) for key, name in names.items()}))


def _short(name: str) -> str:
    return name if len(name) <= 40 else name[:39] + "…"
