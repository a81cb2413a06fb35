"""gitops-yaml.md: every key of `.gitops.yaml`. Which keys there are is asked of the parser itself, by offering it one it
cannot know; what they mean is written here, and a key without a meaning (or the other way round) fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from docs.generate.markdown import block, page, sentence, table
from service.domain.gitops_file import parse
from service.errors import GitopsFileError

_INTRO = """\
A file `.gitops.yaml` at the top of a repository, read at the commit that was pushed. It is optional: without it the
repository is one project at its top, followed on its default branch, whose workflow `main` (or whose only workflow that has no
schedule) runs on a push. A key that is not on this page is an error with its line, and so is a value that
the operator's [policy](settings.md#policy) does not allow. The [guide](../guide/gitops-yaml.md) has it by task."""

_EXAMPLE = """\
version: 1
projects:
  - path: .
    name: fraud
    refs: [main]
    paths: ["**", "!docs/**"]
    run:
      - {workflow: main, on: push, arguments: {rows: 50}, concurrency: supersede}
    schedules:
      nightly: {workflow: main, cron: "0 2 * * 1-5", timezone: Europe/Berlin, catch_up: latest}
    runner: {timeout: 2h}
    notify:
      - {to: team-ml, on: [run.failed, schedule.changed]}"""


@dataclass(frozen=True)
class _Key:
    value: str
    default: str
    meaning: str


@dataclass(frozen=True)
class _Section:
    title: str
    intro: str
    probe: str  # `.gitops.yaml` with {key} where the section's keys stand
    keys: dict[str, _Key]


_PODS = "Of pods; the process launcher has no use for it."

_SECTIONS = (
    _Section(
        "The file",
        "",
        "version: 1\n{key}: 1",
        {
            "version": _Key("`1`", "**needed**", "The version of this format."),
            "projects": _Key("list of entries", "one, all defaults", "The projects; several make a monorepo, for which one fetch serves all."),
        },
    ),
    _Section(
        "`projects[]`",
        "One MLRun project.",
        "version: 1\nprojects:\n  - {key}: 1",
        {
            "path": _Key("folder", "`.`", "Where project.yaml and/or project_setup.py is, relative to the repository's top."),
            "name": _Key(
                "name, with `{ref}` if wanted",
                "project.yaml's, else the repository's",
                "The project's name: lower-case letters, digits and dashes, 63 at most. `{ref}` stands for the branch, made fit "
                "for a name. Without `{ref}` it must agree with project.yaml, if that has a name.",
            ),
            "refs": _Key(
                "patterns",
                "the repository's branch",
                "The branches it follows: names or globs (`release/*`), `!` takes away, the last match decides. `tags/v*` means tags, "
                "which need a run rule `on: tag`. Several branches need `{ref}` in `name`, since a name belongs to one branch.",
            ),
            "paths": _Key(
                "patterns",
                '`["**"]`',
                "Which changed files set off runs, in the rules of .gitignore, relative to `path`; with a leading `/` to the "
                "repository's top. The last match decides; a list of `!` alone begins with everything.",
            ),
            "python": _Key(
                'version in quotes, as `"3.11"`',
                "–",
                "The Python that the project's functions are written for, else `.python-version`. It decides which [images](../guide/images.md) they get, never the runner's.",
            ),
            "run": _Key("list of entries", "the workflow `main`, else the only one without a schedule, on a push", "What runs when. An empty list: nothing does."),
            "schedules": _Key("entries by name", "project.yaml's", "Schedules beside project.yaml's; one of the same name replaces project.yaml's."),
            "runner": _Key("section", "–", "Where and how long workflows run."),
            "notify": _Key("list of entries", "–", "Who hears of this project, beside whom the operator told to hear."),
            "setup_parameters": _Key("mapping", "–", "What `project_setup.py` finds in `project.spec.params`."),
            "prune": _Key(
                "`true`, `false`",
                "`false`",
                "Whether functions that Git no longer has are deleted from MLRun. Not used yet: nothing is saved into an MLRun API yet.",
            ),
        },
    ),
    _Section(
        "`projects[].run[]`",
        "A run rule. One workflow has at most one rule for each `on`.",
        "version: 1\nprojects:\n  - run:\n      - {key}: 1",
        {
            "workflow": _Key("text", "**needed**", "A workflow of the project; one that it does not have fails the sync."),
            "on": _Key("`push`, `tag`, `manual`", "`push`", "What sets it off. `manual`: only `mlrun-gitops run` and the API, with these arguments written down."),
            "arguments": _Key("mapping", "–", "Arguments that win over the workflow's own `args`."),
            "concurrency": _Key(
                "`supersede`, `queue`, `cancel-running`",
                "`supersede`",
                "What a new run does about older ones of the same workflow, of which one is active at a time. `supersede`: those that "
                "wait give way. `queue`: each gets its turn. `cancel-running`: the active one is cancelled too. Tags always queue.",
            ),
        },
    ),
    _Section(
        "`projects[].schedules.NAME`",
        "A schedule. [Schedules](../guide/schedules.md) has the rules of time zones and clock changes.",
        "version: 1\nprojects:\n  - schedules:\n      nightly: {{{key}: 1}}",
        {
            "workflow": _Key("text", "the schedule's name", "What runs."),
            "cron": _Key("five fields, in quotes", "**needed**", "When, by the rules of Debian's cron; days and months may be names (`mon-fri`), nicknames such as `@daily` are not taken."),
            "timezone": _Key("IANA name", "`UTC`", "The time zone of `cron`, as `Europe/Berlin`."),
            "catch_up": _Key("`latest`, `none`", "`latest`", "Of due times that nobody could fire, the latest runs; or none does. Each is recorded."),
            "arguments": _Key("mapping", "–", "Arguments that win over the workflow's own `args`."),
        },
    ),
    _Section(
        "`projects[].runner`",
        "Each choice must be one that the operator's `policy` allows.",
        "version: 1\nprojects:\n  - runner: {{{key}: 1}}",
        {
            "launcher": _Key("`process`", "the operator's", "Which launcher runs this project."),
            "image": _Key("image", "by MLRun's version", "The runner's [image](../guide/images.md). It stands with every run; the process launcher pulls none."),
            "requirements_file": _Key("file", "–", "Python packages for the runner, from a file in the repository; runs then start cold. For pods MLRun [builds an image](../guide/own-images.md) that has them; without `mlrun.api` name one as `image`."),
            "target_dir": _Key("folder in the image", "–", "The commit's files are put there in an image that MLRun builds, and runs take them from it: [files in the image](../guide/own-images.md#files-in-the-image)."),
            "node_selector": _Key("mapping", "–", f"Labels that a pod's node must have, as `policy.node_selectors` allows. {_PODS}"),
            "resources": _Key("mapping", "the operator's", f"`requests` and `limits` of a pod, as Kubernetes writes them. {_PODS}"),
            "env": _Key("mapping", "–", f"Environment variables, of names that `policy.env` allows; no place for secrets. {_PODS}"),
            "volumes": _Key("mapping, as `data: /data`", "–", f"Volumes of the operator's that `policy.volumes` allows, each with where it is mounted. {_PODS}"),
            "service_account": _Key("text", "the operator's", f"A service account that `policy.service_accounts` allows. {_PODS}"),
            "timeout": _Key("duration, as `2h`", "`launcher.run_timeout`", "How long a run may take before it is ended as `timed-out`."),
        },
    ),
    _Section(
        "`projects[].notify[]`",
        "A subscription of the project's own. Addresses and secrets stay with the operator.",
        "version: 1\nprojects:\n  - notify:\n      - {key}: 1",
        {
            "to": _Key("a handler's name", "**needed**", "One of the operator's `handlers`; another name fails the sync."),
            "on": _Key("events", '`["*"]`', "Which [events](events.md); patterns such as `run.*` are allowed."),
            "refs": _Key("patterns", '`["*"]`', "Of which branches and tags; for a project with several refs."),
            "severity": _Key("`info`, `warning`, `error`", "`info`", "The least severity that it hears of."),
        },
    ),
)  # fmt: skip


def text() -> str:
    return page(
        "`.gitops.yaml`",
        "docs/generate/gitops_yaml.py, held against the parser",
        _INTRO,
        block(_EXAMPLE, "yaml"),
        *(_text(section) for section in _SECTIONS),
    )


def _text(section: _Section) -> str:
    known, told = _known_keys(section.probe), set(section.keys)
    if known != told:
        raise ValueError(
            f"{section.title}: the parser knows {sorted(known - told)} that this page does not explain, "
            f"and does not know {sorted(told - known)}"
        )
    rows = ((f"`{name}`", key.value, key.default, sentence(key.meaning)) for name, key in section.keys.items())
    parts = (f"## {section.title}", section.intro, table(("key", "value", "default", "meaning"), rows))
    return "\n\n".join(part for part in parts if part)


def _known_keys(probe: str) -> set[str]:
    """The keys that the parser takes where `probe` offers it one that it does not."""
    try:
        parse(probe.format(key="0000000000"))
    except GitopsFileError as error:
        found = re.search(r"the keys here are ([\w, ]+)", error.mend)
        if found:
            return set(found[1].split(", "))
        raise
    raise ValueError(f"the parser takes any key here: {probe}")
