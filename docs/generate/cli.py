"""cli.md: every verb with its arguments and options, as the command line itself knows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from docs.generate.markdown import block, code, page, sentence, table
from service.cli.verbs import app

_PROGRAM = "mlrun-gitops"

_INTRO = """\
`mlrun-gitops VERB --help` says the same. Verbs that act on a running service speak to its [API](api.md): they find it at
`--url` (`GITOPS_URL`) and show it `--token` (`GITOPS_TOKEN`; by environment, since everybody on the machine can read a
command's arguments). In a pipe they print whole lines with dates, on a terminal colours and ages. Where there is `--json`, it
prints what the API answered."""

_EXITS = [
    ("0", "Done. With `--wait`: and what it led to ended well (or gave way to something newer)."),
    ("1", "Failed. Standard error says what happened and what to do about it. With `--wait`: it ended badly."),
    ("2", "Bad usage: an option, an argument or config.yaml is wrong."),
]


def text() -> str:
    group: Any = get_command(app)
    verbs = list(_verbs(group, (_PROGRAM,)))
    return page(
        "Command line",
        "service/cli",
        _INTRO,
        "## Exit codes\n\n" + table(("code", "meaning"), _EXITS),
        "## Verbs\n\n" + table(("verb", "what it does"), (_index(words, verb) for words, verb in verbs)),
        *(_section(words, verb) for words, verb in verbs),
    )


def _verbs(group: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below `group` that is not hidden, in the order of the program's help."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _verbs(command, (*words, name))
        else:
            yield (*words, name), command


def _index(words: tuple[str, ...], verb: Any) -> tuple[str, str]:
    name = " ".join(words[1:])
    return f"[`{name}`](#{name.replace(' ', '-')})", _help(verb).split("\n\n")[0].replace("\n", " ")


def _section(words: tuple[str, ...], verb: Any) -> str:
    arguments = [param for param in verb.params if param.param_type_name == "argument"]
    options = [param for param in verb.params if param.param_type_name == "option" and not param.hidden]
    usage = " ".join([*words, *map(_placeholder, arguments), *(["[OPTIONS]"] if options else [])])
    parts = [
        f"### {' '.join(words[1:])}",
        _help(verb),
        block(usage),
        table(("argument", "meaning"), ((code(_name(one)), sentence(one.help)) for one in arguments)),
        table(("option", "value", "default", "meaning"), map(_option, options)),
    ]
    return "\n\n".join(part for part in parts if part)


def _help(verb: Any) -> str:
    """The verb's docstring; what stands behind a form feed is for readers of the code."""
    return (verb.help or "").split("\f")[0].strip()


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _placeholder(argument: Any) -> str:
    name = _name(argument) + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> tuple[str, str, str, str]:
    names = ", ".join(code(name) for name in (*option.opts, *option.secondary_opts))
    default = option.default if not (option.is_flag or option.default in (None, [], ())) else None
    variable = f" Environment: `{option.envvar}`." if option.envvar else ""
    again = " May be given several times." if option.multiple else ""
    shown = "–" if default is None else code(str(default))
    return names, "" if option.is_flag else _value(option), shown, sentence(option.help) + variable + again


def _value(option: Any) -> str:
    if option.metavar:
        return code(option.metavar)
    kind = getattr(option.type_descriptor.annotation, "__name__", "")
    return {"str": "text", "int": "number", "float": "number", "Path": "path"}.get(kind, kind.lower() or "text")
