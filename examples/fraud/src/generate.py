import numpy
import pandas


def generate(context, payments: int = 20000, seed: int = 11):
    """Logs the datasets `history` (four fifths, to learn from) and `holdout` (one fifth, to be judged by)."""
    chance, size = numpy.random.default_rng(seed), int(payments)
    frame = pandas.DataFrame(
        {
            "amount": chance.lognormal(3.5, 1.0, size).round(2),
            "hour": chance.integers(0, 24, size),
            "card_age_days": chance.exponential(500, size).round(),
            "payments_last_hour": chance.poisson(0.4, size),
            "abroad": (chance.random(size) < 0.12).astype(int),
            "merchant_risk": chance.beta(2, 6, size).round(3),
        }
    )
    night = (frame["hour"] < 6).astype(float)
    odds = (
        1.2 * (numpy.log(frame["amount"]) - 3.5)
        + 1.6 * night
        + 2.2 * frame["abroad"]
        + 1.1 * frame["payments_last_hour"]
        + 5.0 * frame["merchant_risk"]
        - 1.2 * numpy.log1p(frame["card_age_days"] / 30)
        - 4.6
    )
    frame["fraud"] = (chance.random(size) < 1 / (1 + numpy.exp(-odds))).astype(int)
    known = int(size * 0.8)
    context.log_dataset("history", df=frame[:known], format="csv", index=False)
    context.log_dataset("holdout", df=frame[known:], format="csv", index=False)
    context.log_result("payments", size)
    context.log_result("fraud_share", round(float(frame["fraud"].mean()), 4))
    print(f"{size} payments, {frame['fraud'].mean():.1%} of them fraudulent", flush=True)
