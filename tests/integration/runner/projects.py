"""Small projects: files by name."""

from __future__ import annotations

from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"

YAML = """\
metadata: {name: demo}
spec:
  functions:
    - {name: work, kind: job, url: work.py, handler: work}
  workflows:
    - {name: main, path: workflow.py, engine: kfp}
"""
WORK = """\
def work(context, x: int = 1):
    context.log_result("double", 2 * int(x))
"""
WORKFLOW = """\
import mlrun
from kfp import dsl

@dsl.pipeline(name="demo")
def pipeline(x: int = 3):
    mlrun.get_current_project().run_function("work", params={"x": x}, outputs=["double"])
"""


def project(**files: str) -> dict[str, str]:
    """The small project, with `work`, `workflow`, `yaml`, `setup` replaced or added."""
    names = {"work": "work.py", "workflow": "workflow.py", "yaml": "project.yaml", "setup": "project_setup.py"}
    given = {names.get(name, name): text for name, text in files.items()}
    return {"project.yaml": YAML, "work.py": WORK, "workflow.py": WORKFLOW} | given


def steps(body: str) -> str:
    """A workflow whose function does `body`, with `run` to run a step of the one function."""
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return f"""\
import mlrun
from kfp import dsl

def run(handler="work", **options):
    return mlrun.get_current_project().run_function("work", handler=handler, **options)

@dsl.pipeline(name="demo")
def pipeline(x: int = 3):
{lines}
"""
