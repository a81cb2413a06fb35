import numpy
import pandas


def generate(context, rows: int = 100, noise: float = 0.1, seed: int = 7):
    """Logs the dataset `measurements`: points near the line y = 2x + 1."""
    chance = numpy.random.default_rng(seed)
    x = chance.uniform(0, 1, int(rows))
    frame = pandas.DataFrame({"x": x, "y": 2 * x + 1 + chance.normal(0, float(noise) / 3, int(rows))})
    context.log_dataset("measurements", df=frame, format="csv", index=False)
    context.log_result("rows", len(frame))
