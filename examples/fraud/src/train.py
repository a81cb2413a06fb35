import json

from src.boosting import auc, learn, scores


def train(context, history, rounds: int = 10):
    """Learns from past payments and logs the model `model`."""
    frame = history.as_df()
    features = [name for name in frame.columns if name != "fraud"]
    values, truth = frame[features].to_numpy(float), frame["fraud"].to_numpy()
    found = {"features": features, **learn(values, truth, int(rounds))}
    context.log_model("model", body=json.dumps(found), model_file="model.json", framework="numpy", algorithm="boosting")
    context.log_result("rounds", len(found["trees"]))
    context.log_result("auc_in_training", round(auc(truth, scores(found, values)), 4))
    print(f"learnt {len(found['trees'])} trees from {len(frame)} payments", flush=True)
