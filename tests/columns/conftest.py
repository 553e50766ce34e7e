import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def weather():
    """A table as people have them: 4,000 days."""
    rng, n = np.random.default_rng(0), 4000
    warmth = rng.normal(size=n)
    wet = rng.normal(size=n) - 0.5 * warmth
    humidity = np.clip(np.rint(70.0 + 12.0 * wet + rng.normal(0.0, 5.0, n)), 0.0, 100.0)
    rain = np.where(wet > 0.84, rng.gamma(0.8, 5.0, n) * np.exp(0.3 * wet), 0.0)
    return pd.DataFrame(
        {
            "name": [f"day {i}" for i in range(n)],
            "date": pd.date_range("2000-01-01", periods=n),
            "temperature": 10.0 + 8.0 * warmth,
            "humidity": humidity.astype(np.int64),
            "wind": np.degrees(rng.vonmises(0.5 * warmth, 1.5)) % 360.0,
            "rain": rain,
            "count": rng.poisson(np.exp(0.8 + 0.4 * warmth)).astype(np.int32),
            "frost": warmth < -1.2,
            "grade": pd.Categorical(
                np.array(["low", "mid", "high"])[np.searchsorted([-0.5, 0.8], wet)],
                categories=["low", "mid", "high"],
                ordered=True,
            ),
            "site": 1.0,
        }
    )
