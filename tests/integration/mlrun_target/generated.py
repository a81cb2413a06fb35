"""Projects that nobody wrote: each seed is one, with whatever a project.yaml may hold, and no two alike.

They load on every MLRun that we have. What MLRun itself refuses (a function without a file, two of one name) is not made.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import yaml

Files = dict[str, str]
Json = dict[str, Any]

_WORDS = (
    "rows",
    "threshold",
    "model",
    "stage",
    "alpha",
    "path",
    "status",
    "owner",
    "hash",
    "image",
    "source",
    "volumes",
)
_VALUES: tuple[Any, ...] = (
    1,
    0,
    -7,
    0.25,
    True,
    False,
    "text",
    "",
    "ünïcode",
    "1",
    "2 2 2",
    [1, "a", None],
    {"a": {"b": [1]}},
    None,
)
_IMAGES = (
    "mlrun/mlrun",
    "mlrun/mlrun:1.9.0",
    "python:3.11",
    "registry.example.com:5000/team/train:v3",
    "mlrun/mlrun-gpu",
)
_CODE = '''"""Steps."""


def handler(context, rows: int = 10, name: str = "x"):
    """Does {number}.

    :param rows: how many
    :returns: a number
    """
    context.log_result("number", {number})


def other(context):
    pass
'''
_WORKFLOW = """from kfp import dsl


def pipeline(rows=1, model="", stage=""):
    dsl.ContainerOp(name="step", image="registry.example.com/step:1")
"""
_SETUP = """def setup(project):
    project.spec.params["from_setup"] = {number}
    project.spec.description = "set up"
{more}    return project
"""


def project(seed: int) -> Files:
    """The files of one project, which is called `generated-<seed>`."""
    return _Maker(seed).files()


class _Maker:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.made: Files = {"README.md": f"{seed}\n"}

    def files(self) -> Files:
        spec: Json = {}
        for add in (self._words, self._functions, self._workflows, self._artifacts, self._odds_and_ends):
            add(spec)
        metadata: Json = {"name": f"generated-{self.seed}"}
        if self._maybe():
            metadata["labels"] = {"team": "ml", "n": str(self.seed)}
        if self._maybe(0.3):
            metadata["annotations"] = {"note": "kept", "owner": "ada"}
        document: Json = {"metadata": metadata, "spec": spec}
        if self._maybe(0.7):
            document["kind"] = "project"
        self.made["project.yaml"] = yaml.safe_dump(document, allow_unicode=True, sort_keys=self._maybe())
        if self._maybe(0.35):
            self._setup()
        return self.made

    def _maybe(self, chance: float = 0.5) -> bool:
        return self.dice.random() < chance

    def _values(self) -> Json:
        return {word: self.dice.choice(_VALUES) for word in self.dice.sample(_WORDS, self.dice.randrange(0, 6))}

    def _words(self, spec: Json) -> None:
        if self._maybe(0.8):
            spec["params"] = self._values()
        if self._maybe():
            spec["description"] = f"project {self.seed}"
        if self._maybe():
            spec["default_image"] = self.dice.choice(_IMAGES)
        if self._maybe(0.3):
            spec["load_source_on_run"] = True

    def _functions(self, spec: Json) -> None:
        kinds: tuple[Callable[[str], Json], ...] = (
            self._python,
            self._python,
            self._repo,
            self._yaml,
            self._inline,
            self._module,
        )
        names = [
            f"step{number}" if self._maybe(0.8) else f"Step_{number}" for number in range(self.dice.randrange(0, 6))
        ]
        listed = [{"name": name, **self.dice.choice(kinds)(name)} for name in names]
        if listed:
            spec["functions"] = listed

    def _python(self, name: str) -> Json:
        path = f"{self.dice.choice(('', 'src/', './src/'))}{name.lower()}.py"
        self.made[path.removeprefix("./")] = _CODE.format(number=self.dice.randrange(100))
        found: Json = {"url": path}
        if self._maybe(0.6):
            found["kind"] = self.dice.choice(("job", "job", "job", "nuclio", "serving", "mpijob"))
        if self._maybe():
            found["image"] = self.dice.choice(_IMAGES)
        if self._maybe():
            found["handler"] = self.dice.choice(("handler", "other"))
        if self._maybe(0.3):
            found["requirements"] = ["pandas>=1", "scikit-learn"]
        elif self._maybe(0.2):
            self.made["requirements.txt"] = "# what it needs\nxgboost==1.7.6\n\npandas\n"
            found["requirements_file"] = "requirements.txt"
        return found

    def _repo(self, name: str) -> Json:
        path = f"src/{name.lower()}.py"
        self.made[path] = _CODE.format(number=self.dice.randrange(100))
        return {"url": path, "kind": "job", "image": self.dice.choice(_IMAGES), "with_repo": True, "handler": "handler"}

    def _yaml(self, name: str) -> Json:
        path = f"functions/{name.lower()}.yaml"
        function = {
            "kind": "job",
            "metadata": {"name": name.lower().replace("_", "-"), "labels": {"from": "yaml"}},
            "spec": {
                "image": "mlrun/mlrun",
                "default_handler": "handler",
                "description": "from yaml",
                **self._runtime(),
            },
        }
        self.made[path] = yaml.safe_dump(function)
        return {"url": path, **({"image": self.dice.choice(_IMAGES)} if self._maybe(0.4) else {})}

    def _inline(self, name: str) -> Json:
        function = {
            "kind": "job",
            "metadata": {"name": name.lower().replace("_", "-")},
            "spec": {**self._runtime(), "image": "mlrun/mlrun"},
        }
        return {"spec": function}

    def _module(self, name: str) -> Json:
        return {"handler": "json.dumps", "kind": "job", "image": self.dice.choice(_IMAGES)}

    def _runtime(self) -> Json:
        found: Json = {}
        if self._maybe():
            found["env"] = [{"name": "LEVEL", "value": "3"}, {"name": "TOKEN", "value": "not a secret"}]
        if self._maybe():
            found["node_selector"] = {"disk": "ssd"}
        if self._maybe():
            found["resources"] = {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}
        if self._maybe(0.3):
            found["volumes"] = [{"name": "data", "emptyDir": {}}]
            found["volume_mounts"] = [{"name": "data", "mountPath": "/data"}]
        return found

    def _workflows(self, spec: Json) -> None:
        listed = []
        for number in range(self.dice.randrange(0, 4)):
            name = "main" if number == 0 else f"flow-{number}"
            path = self.dice.choice(("workflow.py", "flows/workflow.py"))
            self.made[path] = _WORKFLOW
            found: Json = {"name": name, "path": path, "handler": "pipeline"}
            found["engine"] = self.dice.choice(("kfp", "local", "remote"))
            if self._maybe():
                found["args"] = {"rows": 3, "model": "m"}
            if self._maybe(0.4):
                found["args_schema"] = [
                    {"name": "rows", "type": "int", "default": 5, "required": self._maybe()},
                    {"name": "stage", "doc": "where"},
                ]
            if found["engine"] != "local" and self._maybe(0.4):
                found["schedule"] = self.dice.choice(("0 2 * * 1-5", "*/30 * * * *", "15 4 1 * *"))
            if self._maybe(0.3):
                found["image"] = self.dice.choice(("mlrun/mlrun-kfp", "registry.example.com/runner:1"))
            if self._maybe(0.3):
                found["cleanup_ttl"] = 60
            if self._maybe(0.3):
                found["workflow_runner_node_selector"] = {"pool": "runners"}
            listed.append(found)
        if listed:
            spec["workflows"] = listed

    def _artifacts(self, spec: Json) -> None:
        if self._maybe(0.3):
            spec["artifact_path"] = "s3://bucket/artifacts"
        if self._maybe(0.3):
            spec["artifacts"] = [
                {
                    "kind": self.dice.choice(("", "dataset")),
                    "metadata": {"key": f"data-{number}", "project": f"generated-{self.seed}"},
                    "spec": {"target_path": f"https://example.com/data/{number}.csv"},
                }
                for number in range(self.dice.randrange(1, 3))
            ]

    def _odds_and_ends(self, spec: Json) -> None:
        offers: tuple[tuple[str, Any], ...] = (
            ("conda", "env"),
            ("goals", "win"),
            ("desired_state", "online"),
            ("workdir", "."),
            ("disable_auto_mount", True),
            ("default_requirements", ["requests"]),
            ("default_function_node_selector", {"zone": "a"}),
            ("custom_packagers", [["packagers.MyPackager", False]]),
            ("owner", "somebody"),
            ("source", "git://elsewhere.example.com/x/y.git#main"),
            (
                "notifications",
                [
                    {
                        "kind": "slack",
                        "name": "told",
                        "message": "done",
                        "severity": "info",
                        "when": ["error"],
                        "params": {"channel": "#ml"},
                    }
                ],
            ),
        )
        spec.update({key: value for key, value in offers if self._maybe(0.25)})

    def _setup(self) -> None:
        more = ""
        if self._maybe():
            self.made["extra.py"] = _CODE.format(number=1)
            image = self.dice.choice(_IMAGES)
            more += (
                f'    project.set_function("extra.py", name="extra", kind="job", image="{image}", handler="handler")\n'
            )
        if self._maybe(0.4):
            self.made["late.py"] = _WORKFLOW
            more += '    project.set_workflow("late", "late.py", handler="pipeline", schedule="0 5 * * *", rows=9)\n'
        if self._maybe(0.3):
            more += "    project.save()\n"
        self.made["project_setup.py"] = _SETUP.format(number=self.seed, more=more)
