"""What MLRun's own users do, by the real SDK on its Python 3.9: sdk.py STEPS, a JSON list; a line of JSON tells what came of each.

{"do": "load", "url": "git://...", "name": "fraud"}             # load_project(save=True) and sync_functions(save=True)
{"do": "run", "name": "fraud", "workflow": "main", ...}         # project.run(engine="remote:local", ...)
{"do": "secrets", "name": "fraud", "secrets": {"GIT_TOKEN": "..."}}
"""

import json
import sys
import tempfile

import mlrun


def load(name, url):
    context = tempfile.mkdtemp()
    project = mlrun.load_project(context, url, name=name, clone=True, save=True)
    project.sync_functions(save=True)
    return {"context": context, "functions": sorted(project.spec._function_definitions)}


def run(name, workflow, **options):
    project = mlrun.load_project(tempfile.mkdtemp(), f"db://{name}", save=False)
    known = _runners(name)
    status = project.run(workflow, **{"engine": "remote:local", "local": False, "dirty": True, **options})
    # What was scheduled has no status; of an old server's run it has no id, so the new one is looked for.
    return {
        "error": None if status is None or status.exc is None else str(status.exc),
        "uids": sorted(_runners(name) - known),
    }


def _runners(name):
    runs = mlrun.get_run_db().list_runs(project=name, labels=["job-type=workflow-runner"])
    return {one["metadata"]["uid"] for one in runs}


def secrets(name, secrets):
    mlrun.get_run_db().create_project_secrets(name, "kubernetes", secrets)
    return {}


if __name__ == "__main__":
    for step in json.loads(sys.argv[1]):
        answer = {"load": load, "run": run, "secrets": secrets}[step.pop("do")](**step)  # type: ignore[operator]  # of its name
        print("SDK " + json.dumps(answer), flush=True)
