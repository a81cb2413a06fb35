import json

import numpy


def evaluate(context, measurements, line, accept: float = 0.9):
    """Logs `score`, the share of the variance that the line explains, and whether it is enough."""
    frame, found = measurements.as_df(), json.loads(line.get())
    rest = frame["y"] - (found["slope"] * frame["x"] + found["intercept"])
    score = 1 - float(numpy.var(rest) / numpy.var(frame["y"]))
    print(f"the line explains {score:.1%} of the variance", flush=True)
    context.log_result("score", round(score, 4))
    context.log_result("accepted", bool(score >= float(accept)))
