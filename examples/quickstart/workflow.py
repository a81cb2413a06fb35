"""Three steps in Kubeflow's language; each takes what the one before it left."""

import mlrun
from kfp import dsl


@dsl.pipeline(name="quickstart", description="generate, train, evaluate")
def pipeline(rows: int = 200):
    project = mlrun.get_current_project()
    generated = project.run_function(
        "generate",
        params={"rows": rows, "noise": project.get_param("noise")},
        outputs=["measurements", "rows"],
    )
    trained = project.run_function(
        "train",
        inputs={"measurements": generated.outputs["measurements"]},
        outputs=["line"],
    )
    project.run_function(
        "evaluate",
        inputs={"measurements": generated.outputs["measurements"], "line": trained.outputs["line"]},
        params={"accept": project.get_param("accept")},
        outputs=["score", "accepted"],
    ).after(trained)
