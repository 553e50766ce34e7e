"""Two moons: diagonal and coupling flows, each from a random and from a fitted start.

python -m examples.warm_start [--out DIR] [--epochs N]. Repeats a notebook that many people start
from, experiment by experiment, and prints its figures beside those of this run; pictures are
written to the folder. Takes two minutes; needs Keras and matplotlib.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from sklearn.datasets import make_moons

from examples.warm_start import pictures
from rbig_keras import (
    GaussianizationFlow,
    MixtureCDFCoupling,
    base_nll_loss,
    export_to_keras,
    fine_tune,
    initialize_flow_from_ig,
    make_coupling_flow,
    make_gaussianization_flow,
)
from rbig_numba import RBIG


class Moons(NamedTuple):
    """5,000 rows to train on and 20,000 others, standardised by the former."""

    train: np.ndarray
    held_out: np.ndarray


class Experiment(NamedTuple):
    """One architecture, how long and how fast it is trained, and what the notebook says of it."""

    name: str
    epochs: int
    learning_rate: float
    losses: tuple[float, float]
    held_out: float


EXPERIMENTS = (
    Experiment("diagonal", 150, 5e-3, (1.232, 1.149), -1.2085),
    Experiment("coupling", 100, 3e-3, (1.400, 1.092), -1.2021),
)
GENERATOR = -1.132


def moons() -> Moons:
    """Return the rows of the notebook, and held-out ones."""
    train, _ = make_moons(5000, noise=0.05, random_state=0)
    held_out, _ = make_moons(20_000, noise=0.05, random_state=1)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    return Moons(*(((x - mean) / deviation).astype("float32") for x in (train, held_out)))


def build(name: str, X: np.ndarray, clip: float | None = None) -> GaussianizationFlow:
    """Return a new flow of either architecture, from the notebook's seed."""
    keras.utils.set_random_seed(1 if name == "diagonal" else 3)
    if name == "coupling":
        return make_coupling_flow(2, num_blocks=4, num_components=8, hidden=(64, 64))
    return make_gaussianization_flow(
        2,
        num_blocks=8,
        num_reflectors=2,
        num_components=8,
        pca_init_data=X,
        mixture_init_data=X,
        clip=clip,
    )


def mean_log_prob(flow: GaussianizationFlow, X: np.ndarray) -> float:
    """Return the mean log-density, in nats."""
    return float(np.mean(flow.log_prob(X), dtype=float))


def train(flow: GaussianizationFlow, data: Moons, epochs: int, rate: float) -> dict[str, Any]:
    """Train as the notebook does; return losses by epoch, those of held-out rows too."""
    flow.compile(optimizer=keras.optimizers.Adam(rate), loss=base_nll_loss)
    held_out = data.held_out[:5000]
    return flow.fit(
        data.train,
        data.train,
        batch_size=512,
        epochs=epochs,
        verbose=0,
        validation_data=(held_out, held_out),
    ).history


def last_kernels(flow: GaussianizationFlow) -> list[float]:
    """Return the largest number in each coupling's last kernel."""
    couplings = [b for b in flow.bijector_layers if isinstance(b, MixtureCDFCoupling)]
    return [float(np.abs(np.asarray(c.conditioner.layers[-1].kernel)).max()) for c in couplings]


def show(what: str, theirs: str, ours: str) -> None:
    """Print a line of the table."""
    print(f"{what:62} {theirs:>12} {ours:>12}", flush=True)


def run(experiment: Experiment, data: Moons, epochs: int, out: Path) -> None:
    """Train one architecture from both starts, and print and draw what came of it."""
    name, asked = experiment.name, f"{experiment.held_out:.4f}"
    flows = {"random start": build(name, data.train), "fitted start": build(name, data.train)}
    z = initialize_flow_from_ig(flows["fitted start"], data.train, random_state=0)
    moments = np.append(z.mean(axis=0), np.cov(z.T)[[0, 1, 0], [0, 1, 1]])
    for label, flow in flows.items():
        show(f"{name}: held-out, {label}", "", f"{mean_log_prob(flow, data.held_out):.3f}")
    show(f"{name}: mean and covariance of z", "0 0 1 1 0", " ".join(f"{m:.2f}" for m in moments))
    latents = {label: flow(data.train) for label, flow in flows.items()}
    pictures.latents(latents, out / f"{name}_latents.png")
    show_kernels(flows["fitted start"], "before training", "0 to 0")
    losses = {
        label: train(flow, data, epochs, experiment.learning_rate) for label, flow in flows.items()
    }
    for (label, flow), loss in zip(flows.items(), experiment.losses, strict=True):
        last, reached = losses[label]["loss"][-1], losses[label]["val_loss"]
        show(f"{name}: loss after {epochs} epochs, {label}", f"{loss:.3f}", f"{last:.3f}")
        show(f"{name}: held-out, {label}", asked, f"{mean_log_prob(flow, data.held_out):.4f}")
        first = np.flatnonzero(-np.array(reached) >= experiment.held_out)
        epoch = str(first[0] + 1) if len(first) else "never"
        show(f"{name}: epochs to {asked} held-out, {label}", str(experiment.epochs), epoch)
    show_kernels(flows["fitted start"], "trained", "0.145 to 0.556")
    pictures.curves(losses, out / f"{name}_training.png")
    pictures.densities(flows, data.train, out / f"{name}_densities.png")
    pictures.samples(flows, out / f"{name}_samples.png")


def show_kernels(flow: GaussianizationFlow, when: str, theirs: str) -> None:
    """Print the range of the largest numbers in the couplings' last kernels."""
    largest = last_kernels(flow)
    if largest:
        ours = f"{min(largest):.3g} to {max(largest):.3g}"
        show(f"coupling: largest of each last kernel, {when}", theirs, ours)


def main() -> None:
    """Run both experiments, and what the engine's own fit makes of the same rows."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=Path("out"))
    options.add_argument("--epochs", type=int, help="instead of 150 and 100")
    arguments = options.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    data = moons()
    show("nats per row", "notebook", "here")
    clipped = mean_log_prob(build("diagonal", data.train, clip=1e-6), data.train)
    show("diagonal: random start, F clipped", "-881.520", f"{clipped:.3f}")
    for experiment in EXPERIMENTS:
        run(experiment, data, arguments.epochs or experiment.epochs, arguments.out)
    flow = build("coupling", data.train)
    initialize_flow_from_ig(flow, data.train, random_state=0, conditioner="fit")
    score = mean_log_prob(flow, data.held_out)
    show("coupling: conditioner fitted, not trained, held-out", "", f"{score:.4f}")
    flow = export_to_keras(RBIG(random_state=0).fit(data.train))
    show("the engine's default fit, held-out", "", f"{mean_log_prob(flow, data.held_out):.4f}")
    fine_tune(flow, data.train, epochs=arguments.epochs or 30)
    show("the same, fine-tuned", "", f"{mean_log_prob(flow, data.held_out):.4f}")
    show("the generator itself", f"{GENERATOR}", "")


if __name__ == "__main__":
    main()
