import json
from pathlib import Path

import mlrun.artifacts
import numpy
import pandas
from src.boosting import auc, scores


def evaluate(context, holdout, model, min_auc: float = 0.88):
    """Logs the metric `auc` on payments that the model has not seen, whether it is enough, and what an inspector finds."""
    frame = holdout.as_df()
    path, _, _ = mlrun.artifacts.get_model(model)
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    truth, score = frame["fraud"].to_numpy(), scores(found, frame[found["features"]].to_numpy(float))
    measured = auc(truth, score)
    order = numpy.argsort(-score)
    shares = [0.01, 0.02, 0.05, 0.1, 0.2]
    caught = [float(truth[order[: int(len(truth) * share)]].sum() / truth.sum()) for share in shares]
    context.log_dataset(
        "caught", df=pandas.DataFrame({"inspected": shares, "caught": caught}), format="csv", index=False
    )
    context.log_result("auc", round(measured, 4))
    context.log_result("caught_in_top_5_percent", round(caught[2], 4))
    context.log_result("accepted", bool(measured >= float(min_auc)))
    print(f"AUC {measured:.3f}: of the frauds, {caught[2]:.0%} are among the most suspicious 5%", flush=True)
