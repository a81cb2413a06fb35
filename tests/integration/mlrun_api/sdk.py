"""MLRun's own client at work, in the runner environment: what it saves, submits, reads and deletes, and what it was answered.

Run as a file by the environment's Python: sdk.py FOLDER, with MLRUN_DBPATH. The last line it prints is JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import warnings
from typing import Any

SOURCE = "git://git.example.com/ml/fraud.git#refs/heads/main"
NIGHTLY = "0 2 * * mon"
WEEKLY = "30 3 * * sun"


def drive(folder: str) -> dict[str, Any]:
    import mlrun
    import mlrun.common.schemas

    db = mlrun.get_run_db()
    project = mlrun.load_project(folder, name="fraud", save=True)
    project.set_source(SOURCE)
    project.save()
    project.sync_functions(save=True)
    seen: dict[str, Any] = {"version": db.server_version}
    seen["project"] = db.get_project("fraud").to_dict()
    seen["functions"] = [one["metadata"]["name"] for one in db.list_functions(project="fraud", tag="latest")]

    for cron in (NIGHTLY, WEEKLY):
        project.run("main", engine="remote", schedule=cron, local=False, dirty=True)
        listed = db.list_schedules("fraud").schedules
        seen.setdefault("schedules", []).append([(one.name, one.scheduled_object["schedule"]) for one in listed])
    db.update_schedule("fraud", "main", mlrun.common.schemas.ScheduleUpdate(cron_trigger=NIGHTLY))
    db.invoke_schedule("fraud", "main")
    db.delete_schedule("fraud", "main")
    db.delete_schedule("fraud", "main")
    seen["schedules"].append([one.name for one in db.list_schedules("fraud").schedules])
    refused = project.run("main", engine="remote", schedule="*/5 * * * *", local=False, dirty=True)
    seen["too often"] = str(refused.exc)

    told = mlrun.model.Notification(
        kind="slack", name="team", when=["error"], secret_params={"webhook": "https://hooks.slack.com/services/T/B/x"}
    )
    ran = project.run(
        "main", engine="remote:local", local=False, dirty=True, arguments={"rows": 5}, notifications=[told]
    )
    seen["workflow id"] = ran.run_id
    uid = ran.run_id
    seen["run"] = db.read_run(uid, "fraud")["status"]["state"]
    runs = db.list_runs(project="fraud", name="workflow-runner-main", labels=["job-type=workflow-runner"])
    seen["runs"] = [run["metadata"]["uid"] for run in runs]
    seen["running"] = len(db.list_runs(project="fraud", states=["running"]))
    db.store_log(uid, "fraud", b"first\nsecond\n")
    seen["log"] = [db.get_log(uid, "fraud", offset=6)[1].decode(), db.get_log(uid, "fraud", offset=13)[1].decode()]
    if hasattr(db, "terminate_pipeline"):
        db.update_run({"status.results.workflow_id": uid}, uid, "fraud")
        db.terminate_pipeline(uid, "fraud")
    aborting = db.abort_run(uid, "fraud")
    seen["abort"] = aborting.status.state
    db.read_run(uid, "fraud")
    seen["aborted"] = db.read_run(uid, "fraud")["status"]["state"]

    db.create_project_secrets("fraud", provider="kubernetes", secrets={"GIT_TOKEN": "s3cret-t0ken"})
    seen["secrets"] = db.list_project_secret_keys("fraud", provider="kubernetes").secret_keys
    db.delete_function("train", "fraud")
    seen["left"] = [one["metadata"]["name"] for one in db.list_functions(project="fraud", tag="latest")]
    function = project.get_function("test")
    seen["build"] = db.remote_builder(function, with_mlrun=False)["ready"]
    built = project.build_image(
        base_image="mlrun/mlrun-kfp", requirements=["iniconfig==2.0.0"], target_dir="./project", set_as_default=False
    )
    seen["image"] = built.outputs["image"]
    seen["kept"] = [one["metadata"]["name"] for one in db.list_functions(project="fraud", tag="latest")]
    project.set_workflow(name="inside", workflow_path="workflow.py", image=seen["image"])
    project.spec.build.source_code_target_dir = None
    project.save()
    inside = project.run("inside", source="./", engine="remote:local", local=False, dirty=True)
    seen["inside"] = db.read_run(inside.run_id, "fraud")["spec"]["parameters"]
    return seen


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    # A client that waits for ever is ended, with where it waited.
    watch = threading.Timer(200, lambda: sys.exit(1))
    watch.daemon = True
    watch.start()
    began = time.monotonic()
    done = drive(sys.argv[1])
    print(json.dumps({**done, "seconds": time.monotonic() - began}, default=str), flush=True)
