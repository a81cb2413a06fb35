"""project.yaml, looked at before MLRun reads it.

MLRun reads it with PyYAML's FullLoader and takes what comes: a bomb of aliases, a list where a mapping belongs, the
last of two functions of one name, a misspelt key. Here each of these becomes an error or a warning that says where.
"""

from __future__ import annotations

import ast
import glob
import os
from typing import Any, Iterable, Optional

from .errors import ProjectError
from .job import PROJECT_NAME
from .plain import Json

PATTERN = "project.y*ml"
SETUP = "project_setup.py"
FUNCTION = "function.y*ml"

# The service has the same caps for what it reads itself (limits.py): more than any project has, less than hurts.
FILE_BYTES = 1024 * 1024
ALIASES = 100
DEPTH = 50
NODES = 50000

# What MLRun's classes keep; it drops every other key without a word.
_SPEC = {
    *("description", "params", "functions", "workflows", "artifacts", "artifact_path", "conda", "source", "subpath"),
    *("origin_url", "goals", "load_source_on_run", "default_requirements", "desired_state", "owner", "build"),
    *("disable_auto_mount", "workdir", "default_image", "custom_packagers", "default_function_node_selector"),
    *("notifications", "model_monitoring"),
}
_WORKFLOW = {
    *("engine", "code", "path", "args", "name", "handler", "args_schema", "schedule", "cleanup_ttl", "image"),
    *("workflow_runner_node_selector", "run_setup"),
}
_FUNCTION = {"name", "url", "kind", "image", "handler", "with_repo", "requirements", "requirements_file", "tag"}


def find(directory: str) -> Optional[str]:
    """The name of the project's file in `directory`, or None. Raises ProjectError."""
    found = sorted(os.path.basename(path) for path in glob.glob(os.path.join(glob.escape(directory), PATTERN)))
    if len(found) > 1:
        raise ProjectError(
            f"there are {' and '.join(found)}, and MLRun takes whichever the disk lists first",
            "Keep one of them",
        )
    others = [SETUP, FUNCTION]
    if not found and not any(glob.glob(os.path.join(glob.escape(directory), other)) for other in others):
        raise ProjectError(
            "there is no project.yaml and no project_setup.py here",
            "Add one of them, or set projects[].path in .gitops.yaml to the directory that has it",
        )
    return found[0] if found else None


def check(path: str, root: str) -> tuple[Json, list[str]]:
    """The document of the file `path`, and warnings about it. Raises ProjectError."""
    name = os.path.basename(path)
    if not os.path.realpath(path).startswith(os.path.join(root, "")):
        raise ProjectError(f"{name} is a link that leads out of the repository")
    if not os.path.isfile(path):
        raise ProjectError(f"{name} is not a file")
    if os.path.getsize(path) > FILE_BYTES:
        raise ProjectError(f"{name} is larger than {FILE_BYTES} bytes")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except UnicodeDecodeError as exc:
        raise ProjectError(f"{name} is not UTF-8: {exc}") from exc
    document = parse(text, name)
    return document, _shape(document, name)


def parse(text: str, name: str) -> Any:
    """The document in `text`, unless it is a bomb. Raises ProjectError."""
    import yaml

    try:
        _measure(yaml.parse(text, Loader=getattr(yaml, "CFullLoader", yaml.FullLoader)), name)
        document = yaml.load(text, Loader=getattr(yaml, "CFullLoader", yaml.FullLoader))
    except yaml.YAMLError as exc:
        raise ProjectError(f"{name} is not YAML: {' '.join(str(exc).split())}") from exc
    except (ValueError, RecursionError) as exc:
        raise ProjectError(f"{name} cannot be read: {exc}") from exc
    if document is None:
        raise ProjectError(f"{name} is empty", "It needs at least metadata.name")
    return document


class _Open:
    """A collection whose end has not come yet; `size` counts what it would hold with every alias written out."""

    def __init__(self, anchor: Optional[str], mapping: bool) -> None:
        self.anchor = anchor
        self.size = 1
        self.keys: Optional[set[str]] = set() if mapping else None
        self.at_key = mapping


def _measure(events: Iterable[Any], name: str) -> None:
    stack, aliases = [_Open(None, mapping=False)], 0
    anchors: dict[str, int] = {}
    for nodes, event in enumerate(events):
        line = event.start_mark.line + 1 if event.start_mark else 0
        aliases += _one(event, stack, anchors, f"{name} line {line}")
        if aliases > ALIASES or len(stack) > DEPTH or nodes > 2 * NODES or stack[-1].size > NODES:
            raise ProjectError(
                f"{name} line {line}: too large with its aliases written out "
                f"(at most {NODES} values, {DEPTH} deep, {ALIASES} aliases)"
            )


def _one(event: Any, stack: list[_Open], anchors: dict[str, int], where: str) -> int:
    """Take one event in; 1 for an alias."""
    import yaml

    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise ProjectError(f"{where}: *{event.anchor} refers to itself or to nothing")
        _add(stack, anchors[event.anchor])
        return 1
    if isinstance(event, yaml.ScalarEvent):
        _tag(event, where)
        if stack[-1].keys is not None and stack[-1].at_key:
            _key(stack[-1].keys, event.value, where)
        if event.anchor:
            anchors[event.anchor] = 1
        _add(stack, 1)
    elif isinstance(event, yaml.CollectionStartEvent):
        _tag(event, where)
        stack.append(_Open(event.anchor, mapping=isinstance(event, yaml.MappingStartEvent)))
    elif isinstance(event, yaml.CollectionEndEvent):
        ended = stack.pop()
        if ended.anchor:
            anchors[ended.anchor] = ended.size
        _add(stack, ended.size)
    return 0


def _add(stack: list[_Open], size: int) -> None:
    stack[-1].size += size
    if stack[-1].keys is not None:
        stack[-1].at_key = not stack[-1].at_key


def _key(keys: set[str], key: str, where: str) -> None:
    if key in keys and key != "<<":
        raise ProjectError(f"{where}: the key {key!r} is there twice", "The last would win")
    keys.add(key)


def _tag(event: Any, where: str) -> None:
    if event.tag and "python/" in event.tag:
        raise ProjectError(f"{where}: {event.tag} is not allowed", "Write a plain value")


def _shape(document: Any, name: str) -> list[str]:
    """Whether everything MLRun will touch is of the type it takes for granted; warnings for what it would drop."""
    warnings: list[str] = []
    if not isinstance(document, dict):
        raise ProjectError(f"{name} holds a {_kind(document)}, not a mapping")
    metadata = _mapping(document, "metadata", name)
    title = metadata.get("name")
    if title is not None and title != "" and (not isinstance(title, str) or not PROJECT_NAME.match(title)):
        raise ProjectError(
            f"{name}: metadata.name {title!r} is not a project name",
            "Use lower-case letters, digits and '-', 63 at most",
        )
    spec = _mapping(document, "spec", name)
    _mapping(spec, "params", name, "spec.")
    _unknown(spec, _SPEC, "spec", name, warnings)
    _functions(_list(spec, "functions", name), name, warnings)
    _workflows(_list(spec, "workflows", name), name, warnings)
    _list(spec, "artifacts", name)
    return warnings


def _functions(functions: list[Any], name: str, warnings: list[str]) -> None:
    seen: set[str] = set()
    for index, function in enumerate(functions):
        where = f"spec.functions[{index}]"
        title = _entry(function, where, name, seen)
        if "spec" not in function:
            _unknown(function, _FUNCTION, f"function {title}", name, warnings)
        for field in ("url", "kind", "image", "handler", "requirements_file", "tag"):
            if not isinstance(function.get(field), (str, type(None))):
                raise ProjectError(f"{name}: {where}.{field} must be a text")


def _workflows(workflows: list[Any], name: str, warnings: list[str]) -> None:
    seen: set[str] = set()
    for index, workflow in enumerate(workflows):
        where = f"spec.workflows[{index}]"
        title = _entry(workflow, where, name, seen)
        if not workflow.get("path") and not workflow.get("code"):
            raise ProjectError(f"{name}: workflow {title} has neither path nor code")
        for field in ("path", "code", "handler", "engine", "image"):
            if not isinstance(workflow.get(field), (str, type(None))):
                raise ProjectError(f"{name}: {where}.{field} must be a text")
        _mapping(workflow, "args", name, where + ".")
        for parameter in _list(workflow, "args_schema", name, where + "."):
            if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
                raise ProjectError(f"{name}: {where}.args_schema needs a list of mappings with a name")
        if "ttl" in workflow:
            warnings.append(f"{name}: workflow {title}: MLRun drops `ttl`; write `cleanup_ttl`")
        _unknown(workflow, _WORKFLOW | {"ttl"}, f"workflow {title}", name, warnings)


def _entry(entry: Any, where: str, name: str, seen: set[str]) -> str:
    if not isinstance(entry, dict):
        raise ProjectError(f"{name}: {where} is a {_kind(entry)}, not a mapping")
    title = entry.get("name")
    if not isinstance(title, str) or not title:
        raise ProjectError(f"{name}: {where} has no name")
    if title in seen:
        raise ProjectError(
            f"{name}: there are two {where.partition('[')[0]} named {title}", "MLRun would take the last"
        )
    seen.add(title)
    return title


def _mapping(fields: Json, field: str, name: str, prefix: str = "") -> Json:
    value = fields.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ProjectError(f"{name}: {prefix}{field} is a {_kind(value)}, not a mapping")
    return value


def _list(fields: Json, field: str, name: str, prefix: str = "spec.") -> list[Any]:
    value = fields.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProjectError(f"{name}: {prefix}{field} is a {_kind(value)}, not a list")
    return value


def _unknown(fields: Json, known: set[str], where: str, name: str, warnings: list[str]) -> None:
    warnings.extend(f"{name}: {where}: MLRun knows no `{key}` and drops it" for key in fields if key not in known)


def _kind(value: Any) -> str:
    names = {str: "text", list: "list", dict: "mapping", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), type(value).__name__)


def setup_warnings(path: str) -> list[str]:
    """What project_setup.py does that MLRun would lose without a word."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (SyntaxError, ValueError):
        return []  # importing it will say so, with the line
    warnings = []
    if not any(_defines(node, "setup") for node in tree.body):
        warnings.append(f"{SETUP} defines no setup(project), so MLRun only imports it")
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    warnings.extend(
        f"{SETUP} line {call.lineno}: MLRun drops set_workflow(ttl=...)"
        for call in calls
        if getattr(call.func, "attr", "") == "set_workflow" and any(word.arg == "ttl" for word in call.keywords)
    )
    return warnings


def _defines(node: ast.AST, name: str) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name == name
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return any((alias.asname or alias.name) in (name, "*") for alias in node.names)
    if isinstance(node, ast.Assign):
        return any(getattr(target, "id", "") == name for target in node.targets)
    return isinstance(node, (ast.If, ast.Try))
