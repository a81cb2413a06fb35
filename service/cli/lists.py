"""The verbs that show: one line a thing, or one thing with everything about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.cli import screen
from service.cli.screen import dim, short_ref, state, took, when

Row = Mapping[str, Any]


def runs(page: Row) -> None:
    screen.table(
        ["RUN", "PROJECT", "WORKFLOW", "STATE", "QUEUED", "TOOK"],
        [
            [
                r["id"],
                r["project"],
                r["workflow"],
                state(r["state"]),
                when(r["created_at"]),
                took(r["started_at"], r["ended_at"]),
            ]
            for r in page["items"]
        ],
        empty="no runs",
    )
    _more(page)


def run(row: Row) -> None:
    screen.say("run ", (row["id"], "bold"), " ", state(row["state"]), _why(row["reason"]))
    _facts(
        ("workflow", f"{row['workflow']} of {row['project']}"),
        ("commit", f"{row['commit'][:12]} {short_ref(row['ref'])}"),
        ("revision", row["revision"]),
        ("because", _cause(row)),
        ("image", row["image"]),
        ("on", f"MLRun {row['mlrun_version']}, launched as {row['launcher']}"),
        ("arguments", _pairs(row["arguments"])),
        ("queued", when(row["created_at"])),
        ("took", took(row["started_at"], row["ended_at"])),
        ("results", _pairs(row["results"])),
    )
    if error := row["error"]:
        screen.say(("error", "red"), f"  {error['type']}: {error['message']}".rstrip(": "), indent=2)
        for line in error["traceback"].splitlines():
            screen.say(line, indent=4)


def deliveries(page: Row) -> None:
    screen.table(
        ["DELIVERY", "REPOSITORY", "REF", "STATE", "CAME", "BECAME"],
        [
            [
                d["id"],
                d["repository"] or d["hook"],
                short_ref(d["ref"]),
                state(d["state"]),
                when(d["received_at"]),
                state(d["outcome"]) if d["outcome"] else dim("open" if d["state"] == "accepted" else "–"),
            ]
            for d in page["items"]
        ],
        notes=[d["outcome_reason"] or d["reason"] for d in page["items"]],
        empty="no deliveries",
    )
    _more(page)


def delivery(row: Row) -> None:
    screen.say("delivery ", (row["id"], "bold"), " ", state(row["state"]), _why(row["reason"]))
    _facts(
        ("from", f"{row['forge']} to {row['hook']}, {row['event'] or 'event unknown'}"),
        ("about", f"{row['repository'] or 'no known repository'} {short_ref(row['ref'])}"),
        ("moved", f"{(row['before'] or 'nothing')[:12]} → {(row['after'] or 'nothing')[:12]}" if row["after"] else ""),
        ("by", row["pusher"]),
        ("came", when(row["received_at"])),
    )
    if row["outcome"]:
        screen.say(dim(f"{'became':<10}"), state(row["outcome"]), _why(row["outcome_reason"]), indent=2, hang=10)
    for sync in row["syncs"]:
        screen.say(
            dim(f"{'sync':<10}"),
            f"{sync['id']} {sync['project']} ",
            state(sync["state"]),
            _why(sync["reason"]),
            indent=2,
        )


def syncs(page: Row) -> None:
    screen.table(
        ["SYNC", "PROJECT", "COMMIT", "STATE", "QUEUED"],
        [
            [
                s["id"],
                s["project"],
                s["commit"][:8],
                state(s["state"]),
                when(s["created_at"]),
            ]
            for s in page["items"]
        ],
        notes=[failure(s) or s["reason"] or s["cause"] for s in page["items"]],
        empty="no syncs",
    )
    _more(page)


def sync(row: Row) -> None:
    screen.say("sync ", (row["id"], "bold"), " ", state(row["state"]), _why(row["reason"]))
    _facts(
        ("project", f"{row['project']}, number {row['seq']}"),
        ("commit", f"{row['commit'][:12]} {row['subject'] or ''} ({row['author'] or 'nobody'})"),
        ("ref", short_ref(row["ref"])),
        ("because", row["cause"]),
        ("revision", row["revision"]),
        ("queued", when(row["created_at"])),
        ("took", took(row["started_at"], row["ended_at"])),
        ("stages", stages(row["timings"])),
    )
    if error := row["error"]:
        screen.say(("error", "red"), f"  {error['what']}", indent=2)
        for line in [*error["detail"].splitlines(), error["mend"]]:
            screen.say(line, indent=4)
    for planned in row["runs"]:
        screen.say(
            dim(f"{'run':<10}"), f"{planned['id']} {planned['workflow']} ", state(planned["state"]), indent=2, hang=10
        )
    if plan := row["plan"]:
        from service.cli import plans

        plans.show(plan, indent=2)


def schedules(page: Row) -> None:
    screen.table(
        ["PROJECT", "SCHEDULE", "WORKFLOW", "CRON", "TIME ZONE", "NEXT"],
        [
            [
                s["project"],
                s["name"],
                s["workflow"],
                s["cron"],
                s["timezone"],
                dim("suspended") if s["suspended"] else dim("removed") if s["removed_at"] else when(s["next_due"]),
            ]
            for s in page["items"]
        ],
        empty="no schedules",
    )
    _more(page)


def drift(row: Row) -> None:
    screen.say(
        f"{row['project']}: revision {row['revision']} at {row['commit'][:12]}, saved into MLRun ",
        when(row["saved_at"]),
        "" if row["differences"] else ": nothing differs",
    )
    if row["unfinished"]:
        screen.say((f"a save of {row['unfinished'][:12]} goes on or did not end", "yellow"), indent=2)
    for one in row["differences"]:
        screen.say((f"{one['what']} {one['path']}".rstrip(), "yellow"), indent=2)
        for name, label in (("git", "Git"), ("saved", "saved"), ("there", "now")):
            screen.say(f"{label:<6}{'nothing' if one[name] is None else one[name]!r}", indent=4)


def stages(timings: Mapping[str, float]) -> str:
    return ", ".join(f"{stage} {screen.span(seconds)}" for stage, seconds in timings.items())


def failure(row: Row) -> str:
    return str(row["error"]["what"]) if row.get("error") else ""


def _facts(*facts: tuple[str, str | None]) -> None:
    for name, value in facts:
        if value:
            screen.say(dim(f"{name:<10}"), value, indent=2, hang=10)


def _why(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def _cause(row: Row) -> str:
    if row["retry_of"]:
        return f"it repeats {row['retry_of']}"
    if row["schedule"]:
        return f"it was due at {row['due']}"
    return f"sync {row['sync']} planned it" if row["sync"] else "somebody asked for it"


def _pairs(values: Row | None) -> str:
    return ", ".join(f"{name}={value}" for name, value in (values or {}).items())


def _more(page: Row) -> None:
    if page["next"]:
        screen.note("there are more: --limit shows more of them, --json gives the cursor of the next page")
