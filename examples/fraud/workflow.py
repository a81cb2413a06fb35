"""Payments are generated, a model learns from most of them, the rest says how good it is."""

import mlrun
from kfp import dsl


@dsl.pipeline(name="fraud", description="generate, train, evaluate")
def pipeline(payments: int = 20000):
    project = mlrun.get_current_project()
    generated = project.run_function(
        "generate",
        params={"payments": payments},
        outputs=["history", "holdout"],
    )
    trained = project.run_function(
        "train",
        params={"rounds": project.get_param("rounds")},
        inputs={"history": generated.outputs["history"]},
        outputs=["model"],
    )
    project.run_function(
        "evaluate",
        params={"min_auc": project.get_param("min_auc")},
        inputs={
            "holdout": generated.outputs["holdout"],
            "model": trained.outputs["model"],
        },
        outputs=["auc", "accepted"],
    )
