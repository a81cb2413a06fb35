"""project.yaml, looked at before MLRun reads it.

MLRun reads it with PyYAML's FullLoader and takes what comes: a bomb of aliases, a list where a mapping belongs, the
last of two functions of one name, a misspelt key. Here each of these becomes an error or a warning that says where.
"""

import ast
import glob
import os

from .errors import ProjectError
from .job import PROJECT_NAME

PATTERN = "project.y*ml"
SETUP = "project_setup.py"
FUNCTION = "function.y*ml"

# The service has the same caps for what it reads itself (limits.py): more than any project has, less than hurts.
FILE_BYTES = 1024 * 1024
ALIASES = 100
DEPTH = 50
NODES = 50000

# What MLRun's classes keep; it drops every other key without a word.
_SPEC = frozenset(
    "description params functions workflows artifacts artifact_path conda source subpath origin_url goals "
    "load_source_on_run default_requirements desired_state owner disable_auto_mount workdir default_image build "
    "custom_packagers default_function_node_selector notifications model_monitoring".split()
)
_WORKFLOW = frozenset(
    "engine code path args name handler args_schema schedule cleanup_ttl image workflow_runner_node_selector "
    "run_setup".split()
)
_FUNCTION = frozenset("name url kind image handler with_repo requirements requirements_file tag".split())


def find(directory):
    """The name of the project's file in `directory`, or None. Raises ProjectError."""
    found = sorted(os.path.basename(path) for path in glob.glob(os.path.join(glob.escape(directory), PATTERN)))
    if len(found) > 1:
        raise ProjectError(
            "there are {}, and MLRun takes whichever the disk lists first".format(" and ".join(found)),
            "Keep one of them",
        )
    if not found and not os.path.isfile(os.path.join(directory, SETUP)):
        if not glob.glob(os.path.join(glob.escape(directory), FUNCTION)):
            raise ProjectError(
                "there is no project.yaml and no project_setup.py here",
                "Add one of them, or set projects[].path in .gitops.yaml to the directory that has it",
            )
    return found[0] if found else None


def check(path, root):
    """The document of the file `path`, and warnings about it. Raises ProjectError."""
    name = os.path.basename(path)
    if not os.path.realpath(path).startswith(os.path.join(root, "")):
        raise ProjectError("{} is a link that leads out of the repository".format(name))
    if not os.path.isfile(path):
        raise ProjectError("{} is not a file".format(name))
    if os.path.getsize(path) > FILE_BYTES:
        raise ProjectError("{} is larger than {} bytes".format(name, FILE_BYTES))
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except UnicodeDecodeError as exc:
        raise ProjectError("{} is not UTF-8: {}".format(name, exc))
    document = parse(text, name)
    return document, _shape(document, name)


def parse(text, name):
    """The document in `text`, unless it is a bomb. Raises ProjectError."""
    import yaml

    try:
        _measure(yaml.parse(text, Loader=getattr(yaml, "CFullLoader", yaml.FullLoader)), name)
        document = yaml.load(text, Loader=getattr(yaml, "CFullLoader", yaml.FullLoader))  # noqa: S506
    except yaml.YAMLError as exc:
        raise ProjectError("{} is not YAML: {}".format(name, " ".join(str(exc).split())))
    except (ValueError, RecursionError) as exc:
        raise ProjectError("{} cannot be read: {}".format(name, exc))
    if document is None:
        raise ProjectError("{} is empty".format(name), "It needs at least metadata.name")
    return document


class _Open:
    """A collection whose end has not come yet; `size` counts what it would hold with every alias written out."""

    def __init__(self, anchor, mapping):
        self.anchor = anchor
        self.size = 1
        self.keys = set() if mapping else None
        self.at_key = mapping


def _measure(events, name):
    import yaml

    stack, anchors, aliases, nodes = [_Open(None, mapping=False)], {}, 0, 0
    for event in events:
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
            if event.anchor not in anchors:
                raise ProjectError("{} line {}: *{} refers to itself or to nothing".format(name, line, event.anchor))
            _add(stack, anchors[event.anchor])
        elif isinstance(event, yaml.ScalarEvent):
            _tag(event, name, line)
            if stack[-1].at_key:
                _key(stack[-1], event.value, name, line)
            if event.anchor:
                anchors[event.anchor] = 1
            _add(stack, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            _tag(event, name, line)
            stack.append(_Open(event.anchor, mapping=isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = stack.pop()
            if ended.anchor:
                anchors[ended.anchor] = ended.size
            _add(stack, ended.size)
        nodes += 1
        if aliases > ALIASES or len(stack) > DEPTH or nodes > 2 * NODES or stack[-1].size > NODES:
            raise ProjectError(
                "{} line {}: too large with its aliases written out (at most {} values, {} deep, {} aliases)".format(
                    name, line, NODES, DEPTH, ALIASES
                )
            )


def _add(stack, size):
    stack[-1].size += size
    if stack[-1].keys is not None:
        stack[-1].at_key = not stack[-1].at_key


def _key(mapping, key, name, line):
    if key in mapping.keys and key != "<<":
        raise ProjectError("{} line {}: the key {!r} is there twice".format(name, line, key), "The last would win")
    mapping.keys.add(key)


def _tag(event, name, line):
    if event.tag and "python/" in event.tag:
        raise ProjectError("{} line {}: {} is not allowed".format(name, line, event.tag), "Write a plain value")


def _shape(document, name):
    """Whether everything MLRun will touch is of the type it takes for granted; warnings for what it would drop."""
    warnings = []
    if not isinstance(document, dict):
        raise ProjectError("{} holds a {}, not a mapping".format(name, _kind(document)))
    metadata = _mapping(document, "metadata", name)
    title = metadata.get("name")
    if title is not None and title != "" and (not isinstance(title, str) or not PROJECT_NAME.match(title)):
        raise ProjectError(
            "{}: metadata.name {!r} is not a project name".format(name, title),
            "Use lower-case letters, digits and '-', 63 at most",
        )
    spec = _mapping(document, "spec", name)
    _mapping(spec, "params", name, "spec.")
    _unknown(spec, _SPEC, "spec", name, warnings)
    _functions(_list(spec, "functions", name), name, warnings)
    _workflows(_list(spec, "workflows", name), name, warnings)
    _list(spec, "artifacts", name)
    return warnings


def _functions(functions, name, warnings):
    seen = set()
    for index, function in enumerate(functions):
        where = "spec.functions[{}]".format(index)
        title = _entry(function, where, name, seen)
        if "spec" not in function:
            _unknown(function, _FUNCTION, "function {}".format(title), name, warnings)
        for field in ("url", "kind", "image", "handler", "requirements_file", "tag"):
            if not isinstance(function.get(field), (str, type(None))):
                raise ProjectError("{}: {}.{} must be a text".format(name, where, field))


def _workflows(workflows, name, warnings):
    seen = set()
    for index, workflow in enumerate(workflows):
        where = "spec.workflows[{}]".format(index)
        title = _entry(workflow, where, name, seen)
        if not workflow.get("path") and not workflow.get("code"):
            raise ProjectError("{}: workflow {} has neither path nor code".format(name, title))
        for field in ("path", "code", "handler", "engine", "image"):
            if not isinstance(workflow.get(field), (str, type(None))):
                raise ProjectError("{}: {}.{} must be a text".format(name, where, field))
        _mapping(workflow, "args", name, where + ".")
        for parameter in _list(workflow, "args_schema", name, where + "."):
            if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
                raise ProjectError("{}: {}.args_schema needs a list of mappings with a name".format(name, where))
        if "ttl" in workflow:
            warnings.append("{}: workflow {}: MLRun drops `ttl`; write `cleanup_ttl`".format(name, title))
        _unknown(workflow, _WORKFLOW | {"ttl"}, "workflow {}".format(title), name, warnings)


def _entry(entry, where, name, seen):
    if not isinstance(entry, dict):
        raise ProjectError("{}: {} is a {}, not a mapping".format(name, where, _kind(entry)))
    title = entry.get("name")
    if not isinstance(title, str) or not title:
        raise ProjectError("{}: {} has no name".format(name, where))
    if title in seen:
        raise ProjectError(
            "{}: there are two {} named {}".format(name, where.split("[")[0], title), "MLRun would take the last"
        )
    seen.add(title)
    return title


def _mapping(fields, field, name, prefix=""):
    value = fields.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ProjectError("{}: {}{} is a {}, not a mapping".format(name, prefix, field, _kind(value)))
    return value


def _list(fields, field, name, prefix="spec."):
    value = fields.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProjectError("{}: {}{} is a {}, not a list".format(name, prefix, field, _kind(value)))
    return value


def _unknown(fields, known, where, name, warnings):
    warnings.extend(
        "{}: {}: MLRun knows no `{}` and drops it".format(name, where, key) for key in fields if key not in known
    )


def _kind(value):
    names = {str: "text", list: "list", dict: "mapping", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), type(value).__name__)


def setup_warnings(path):
    """What project_setup.py does that MLRun would lose without a word."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (SyntaxError, ValueError):
        return []  # importing it will say so, with the line
    warnings = []
    if not any(_defines(node, "setup") for node in tree.body):
        warnings.append("{} defines no setup(project), so MLRun only imports it".format(SETUP))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "set_workflow":
            if any(keyword.arg == "ttl" for keyword in node.keywords):
                warnings.append("{} line {}: MLRun drops set_workflow(ttl=...)".format(SETUP, node.lineno))
    return warnings


def _defines(node, name):
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name == name
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return any((alias.asname or alias.name) in (name, "*") for alias in node.names)
    if isinstance(node, ast.Assign):
        return any(getattr(target, "id", "") == name for target in node.targets)
    return isinstance(node, (ast.If, ast.Try))
