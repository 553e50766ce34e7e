"""Tables and calls that hypothesis draws, as plain values: a case prints, and can be run again."""

import numpy as np
from hypothesis import strategies as st

KINDS = ["mixture", "joint", "radial", "coupling", "whitening"]
DTYPES = ["float64", "float32", "float16", "int8", "int64", "uint16", "bool", ">f8", "longdouble"]
SHAPES = ["normal", "cauchy", "lognormal", "ties", "spike", "integers", "equal rows", "ramp"]
EXTREMES = [-9999.0, 9.97e36, 1e15, -1e30, 1e-300, 5e-324, 1.797e308, np.nan, np.inf]
WEIGHTS = ["none", "counts", "importance", "tiny", "huge", "one row", "zeros", "negative", "short"]
ORDERS = ["C", "F", "reversed", "strided", "read-only"]
CALLS = ["transform", "sample", "score", "save", "fit_more", "far", "inverse", "ensemble"]

exponents = st.one_of(st.just(0), st.integers(-2, 2), st.integers(-308, 300))
tables = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "n_rows": st.integers(1, 50),
        "n_columns": st.one_of(st.integers(1, 6), st.integers(1, 40)),
        "shapes": st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4),
        "exponents": st.lists(
            st.one_of(st.just(0), st.integers(-2, 2), st.integers(-308, 300)),
            min_size=1,
            max_size=3,
        ),
        "offsets": st.lists(st.sampled_from([0.0, 0.0, 1.0, 1e6, -1e9]), min_size=1, max_size=2),
        "cells": st.lists(
            st.tuples(st.integers(0, 49), st.integers(0, 39), st.sampled_from(EXTREMES)), max_size=2
        ),
        "dtype": st.one_of(st.just("float64"), st.sampled_from(DTYPES)),
        "order": st.sampled_from(ORDERS),
        "weights": st.one_of(st.just("none"), st.sampled_from(WEIGHTS)),
    }
)
parameters = st.fixed_dictionaries(
    {
        "n_blocks": st.integers(1, 4),
        "n_components": st.sampled_from([1, 2, 3, 8]),
        "rotation": st.sampled_from(["auto", "ica", "sliced", "pca", "random"]),
        "blocks": st.one_of(
            st.sampled_from(["auto", "classic"]),
            st.lists(st.sampled_from(KINDS), min_size=1, max_size=3),
        ),
        "validation_fraction": st.sampled_from([0.0, 0.1, 0.1, 0.5, 0.9]),
        "refit": st.booleans(),
        "random_state": st.integers(0, 1000),
        "n_jobs": st.sampled_from([1, 2]),
    }
)
cases = st.fixed_dictionaries(
    {
        "table": tables,
        "parameters": parameters,
        "calls": st.lists(st.sampled_from(CALLS), max_size=3, unique=True),
    }
)


def table_of(drawn):
    """Return the rows of a drawn table, in its type and order."""
    rng = np.random.default_rng(drawn["seed"])
    n_rows, n_columns = drawn["n_rows"], drawn["n_columns"]
    columns = [_column(rng, _nth(drawn["shapes"], j), n_rows) for j in range(n_columns)]
    rows = np.stack(columns, axis=1)
    if "equal rows" in drawn["shapes"]:
        rows[rng.integers(n_rows, size=n_rows // 2)] = rows[0]
    with np.errstate(all="ignore"):
        for j in range(n_columns):
            rows[:, j] *= 10.0 ** _nth(drawn["exponents"], j)
            rows[:, j] += _nth(drawn["offsets"], j)
        for i, j, value in drawn["cells"]:
            rows[i % n_rows, j % n_columns] = value
        return _ordered(rows.astype(drawn["dtype"]), drawn["order"])


def weights_of(drawn):
    """Return the weights of a drawn table, or None."""
    rng, n_rows = np.random.default_rng(drawn["seed"]), drawn["n_rows"]
    return {
        "none": None,
        "counts": rng.integers(0, 4, n_rows),
        "importance": np.exp(3.0 * rng.normal(size=n_rows)),
        "tiny": 1e-300 * rng.uniform(size=n_rows),
        "huge": np.full(n_rows, 1e290),
        "one row": np.exp(100.0 * rng.normal(size=n_rows)),
        "zeros": np.zeros(n_rows),
        "negative": rng.normal(size=n_rows),
        "short": np.ones(3),
    }[drawn["weights"]]


def _nth(values, number):
    return values[number % len(values)]


def _column(rng, shape, n_rows):
    if shape == "cauchy":
        return rng.standard_cauchy(n_rows)
    if shape == "lognormal":
        return np.exp(3.0 * rng.normal(size=n_rows))
    if shape == "ties":
        return rng.integers(0, 3, n_rows) / 7.0
    if shape == "spike":
        return np.where(rng.uniform(size=n_rows) < 0.9, 0.0, rng.normal(size=n_rows))
    if shape == "integers":
        return rng.integers(-5, 100, n_rows).astype(float)
    if shape == "ramp":
        return np.linspace(-1.0, 1.0, n_rows)
    return rng.normal(size=n_rows)


def _ordered(rows, order):
    if order == "F":
        return np.asfortranarray(rows)
    if order == "reversed":
        return rows[::-1].copy()[::-1]
    if order == "strided":
        wide = np.zeros((2 * rows.shape[0], 2 * rows.shape[1]), rows.dtype)
        wide[::2, ::2] = rows
        return wide[::2, ::2]
    rows.flags.writeable = order != "read-only"
    return rows
