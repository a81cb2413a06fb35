"""Gradient boosting with trees of one question each ("amount > 95.2?"), in a page of numpy."""

import numpy

RATE = 0.3
BINS = 32
CALM = 1.0  # keeps a leaf with few payments from shouting


def learn(values, truth, rounds):
    """A model as plain data: where it starts, and `rounds` trees. `values` is a row a payment, a column a feature."""
    edges = [numpy.unique(numpy.quantile(column, numpy.linspace(0, 1, BINS + 1)[1:-1])) for column in values.T]
    binned = [numpy.searchsorted(edge, column, side="left") for edge, column in zip(edges, values.T)]
    start = float(numpy.log(truth.mean() / (1 - truth.mean())))
    score, trees = numpy.full(len(truth), start), []
    for _ in range(rounds):
        chance = 1 / (1 + numpy.exp(-score))
        slope, bend = truth - chance, chance * (1 - chance)
        tree = max((_split(f, b, e, slope, bend) for f, (b, e) in enumerate(zip(binned, edges))), key=_gain)
        trees.append(tree)
        score += numpy.where(values[:, tree["feature"]] > tree["above"], tree["yes"], tree["no"])
    return {"start": start, "trees": trees}


def scores(model, values):
    """How suspicious each payment is, as log odds."""
    score = numpy.full(len(values), model["start"])
    for tree in model["trees"]:
        score += numpy.where(values[:, tree["feature"]] > tree["above"], tree["yes"], tree["no"])
    return score


def auc(truth, score):
    """How often a fraudulent payment is more suspicious than an honest one; 0.5 is guessing, 1 is never wrong."""
    _, inverse, counts = numpy.unique(score, return_inverse=True, return_counts=True)
    ranks = (numpy.cumsum(counts) - (counts - 1) / 2)[inverse]
    frauds = int(truth.sum())
    return float((ranks[truth == 1].sum() - frauds * (frauds + 1) / 2) / (frauds * (len(truth) - frauds)))


def _split(feature, binned, edges, slope, bend):
    """The best question about one feature."""
    size = len(edges) + 1
    slopes = numpy.cumsum(numpy.bincount(binned, slope, size))
    bends = numpy.cumsum(numpy.bincount(binned, bend, size))
    no, yes = slopes[:-1] / (bends[:-1] + CALM), (slopes[-1] - slopes[:-1]) / (bends[-1] - bends[:-1] + CALM)
    gains = slopes[:-1] * no + (slopes[-1] - slopes[:-1]) * yes
    best = int(numpy.argmax(gains))
    return {
        "feature": feature,
        "above": float(edges[best]),
        "no": float(RATE * no[best]),
        "yes": float(RATE * yes[best]),
        "gain": float(gains[best]),
    }


def _gain(tree):
    return tree["gain"]
