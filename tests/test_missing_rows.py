"""Rows with holes, under flows that are known: densities, draws and means."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from cases import joint_of, joint_with_background, mixture_of, with_sizes
from rbig_numba.bijections.affine import Affine
from rbig_numba.bijections.rotation import Rotation
from rbig_numba.flow import Flow
from rbig_numba.missing import draws
from rbig_numba.missing.leading import leading_of

D = 3


def joint():
    rng = np.random.default_rng(7)
    means = 0.6 * rng.normal(size=(4, D))
    plain = joint_of(rng.uniform(0.3, 1.0, 4), means, rng.uniform(0.3, 0.9, (4, D)))
    return with_sizes(joint_with_background(plain, 0.02), [-0.5, 0.2, 0.8])


def curved():
    """Return a flow of all three kinds of leading blocks, and of two behind them."""
    rng = np.random.default_rng(8)
    means, scales = rng.normal(size=(D, 3)), rng.uniform(0.6, 1.5, (D, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(D, D)))
    return Flow(
        (
            Affine(np.array([1.0, -2.0, 0.0]), np.array([2.0, 0.5, 1.0]), np.array(100.0)),
            mixture_of(rng.uniform(0.5, 2.0, (D, 3)), means, scales),
            joint(),
            Rotation(turn),
            mixture_of(rng.uniform(0.5, 2.0, (D, 3)), 0.5 * means, np.sqrt(scales)),
        )
    )


def gaussians(block):
    """Return weights, means and covariances of a joint mixture, scale by scale."""
    whiteners = (np.eye(D) - block.slopes) / np.exp(block.log_scales)[:, :, None]
    covariances = np.linalg.inv(np.swapaxes(whiteners, 1, 2) @ whiteners)
    for k, s in np.ndindex(block.log_weights.shape):
        size = np.exp(2.0 * block.log_sizes[k, s])
        yield np.exp(block.log_weights[k, s]), block.means[k], size * covariances[k]


def marginal_log_prob(block, row):
    """Return the log-density of what is there of one row: a slow twin."""
    there = np.flatnonzero(~np.isnan(row))
    densities = [
        weight * multivariate_normal.pdf(row[there], mean[there], covariance[np.ix_(there, there)])
        for weight, mean, covariance in gaussians(block)
    ]
    return np.log(np.sum(densities))


def with_holes(rows, share, seed=0):
    rows = rows.copy()
    rows[np.random.default_rng(seed).random(rows.shape) < share] = np.nan
    return rows


def sampled(flow, n_rows, share=0.4):
    rows = flow.sample(n_rows, np.random.RandomState(0))
    return rows, with_holes(rows, share)


def test_marginals_of_a_joint_mixture_are_closed_form():
    flow = Flow((Affine(np.zeros(D), np.ones(D)), joint()))
    _, rows = sampled(flow, 60)
    there = ~np.isnan(rows).all(axis=1)
    expected = [marginal_log_prob(joint(), row) for row in rows[there]]
    log_prob, std_error = draws.log_prob_of_holes(leading_of(flow), rows, 16, 1)
    np.testing.assert_allclose(log_prob[there], expected, rtol=0, atol=1e-12)
    assert (log_prob[~there] == 0.0).all()
    assert (~there).any()
    assert (std_error == 0.0).all()


def test_rows_without_holes_have_the_density_of_the_flow():
    rows = curved().sample(50, np.random.RandomState(0))
    leading = leading_of(curved())
    log_prob, std_error = draws.log_prob_of_holes(leading, rows, 8, 1)
    np.testing.assert_allclose(log_prob, curved().log_prob(rows), rtol=0, atol=1e-11)
    np.testing.assert_allclose(std_error, 0.0, atol=1e-11)


def integrated(flow, row, n_points):
    """Return the log of the sum of the flow's density over a grid of a row's holes."""
    holes = np.flatnonzero(np.isnan(row))
    shift, scale = flow.bijections[0].shift[holes], flow.bijections[0].scale[holes]
    steps = np.linspace(-30.0, 30.0, n_points)
    grids = np.meshgrid(*(m + s * steps for m, s in zip(shift, scale, strict=True)), indexing="ij")
    rows = np.tile(row, (n_points ** len(holes), 1))
    rows[:, holes] = np.stack([grid.ravel() for grid in grids], axis=1)
    cell = np.prod(scale * (steps[1] - steps[0]))
    return np.log(np.exp(flow.log_prob(rows)).sum() * cell)


@pytest.mark.parametrize(("holes", "n_points"), [((0,), 8001), ((2,), 8001), ((0, 2), 601)])
def test_densities_behind_other_blocks_are_integrals(holes, n_points):
    flow = curved()
    rows = flow.sample(6, np.random.RandomState(1))
    rows[:, holes] = np.nan
    expected = np.array([integrated(flow, row, n_points) for row in rows])
    few, few_error = draws.log_prob_of_holes(leading_of(flow), rows, 64, 1)
    many, _ = draws.log_prob_of_holes(leading_of(flow), rows, 8192, 1)
    np.testing.assert_allclose(many, expected, rtol=0, atol=0.01)
    assert (np.abs(few - expected) < 3.0 * few_error).all()
