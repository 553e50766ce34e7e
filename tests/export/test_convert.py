"""Which layers a fitted model becomes, and what is refused."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from rbig_keras import FixedOrtho, Householder, export_to_keras, make_gaussianization_flow
from rbig_numba import RBIG

CLASSES = {"affine": "Affine", "rotation": "Householder", "mixture": "MixtureCDFGaussianization"}


@dataclass
class HandMade:
    kind: str
    shift: float = 0.0
    scale: float = 1.0

    def arrays(self):
        arrays = {"shift": np.array([self.shift]), "scale": np.array([self.scale])}
        return {**arrays, "reach": np.array(np.inf)}


def fitted(bijection):
    model = BaseEstimator()
    model.fit = None
    model.flow_ = SimpleNamespace(bijections=(bijection,), n_features=1)
    return model


def test_one_layer_per_bijection(small_model, small_flow):
    kinds = [bijection.kind for bijection in small_model.flow_.bijections]
    assert [type(layer).__name__ for layer in small_flow.bijector_layers] == [
        CLASSES[kind] for kind in kinds
    ]
    names = [layer.name for layer in small_flow.bijector_layers]
    assert names == [f"{kind}_{i}" for i, kind in enumerate(kinds)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_hold_the_arrays_under_their_names(small_model, dtype):
    flow = export_to_keras(small_model, dtype=dtype, trainable_rotation=False)
    for bijection, layer in zip(small_model.flow_.bijections, flow.bijector_layers, strict=True):
        names = {"log_weights": "logits", "matrix": "q"}
        arrays = bijection.arrays()
        reach = arrays.pop("reach", None)
        assert getattr(layer, "reach", None) == reach
        for name, array in arrays.items():
            name = names.get(name, name)
            np.testing.assert_array_equal(getattr(layer, name), array.astype(dtype))
            assert getattr(layer, name).dtype == dtype


def test_rotations_train_only_if_asked(small_model):
    free, fixed = (
        export_to_keras(small_model, trainable_rotation=trainable) for trainable in (True, False)
    )
    rotations = [i for i, b in enumerate(small_model.flow_.bijections) if b.kind == "rotation"]
    assert rotations
    for i in rotations:
        assert isinstance(free.bijector_layers[i], Householder)
        assert isinstance(fixed.bijector_layers[i], FixedOrtho)
    trained = {weight.name for weight in fixed.trainable_weights}
    assert trained == {"logits", "means", "log_scales"}
    assert {weight.name for weight in free.trainable_weights} == trained | {"v"}


def test_refuses_an_unfitted_model():
    with pytest.raises(NotFittedError):
        export_to_keras(RBIG())


@pytest.mark.parametrize("dtype", ["float16", "mixed_float16", "double", None])
def test_refuses_an_unknown_dtype(small_model, dtype):
    with pytest.raises(ValueError, match=f"got {dtype!r}"):
        export_to_keras(small_model, dtype=dtype)


def test_names_an_unknown_kind():
    with pytest.raises(ValueError, match="kind 'spiral'"):
        export_to_keras(fitted(HandMade("spiral")))


@pytest.mark.parametrize("arrays", [{"scale": 1e-40}, {"scale": 1e40}, {"shift": -1e39}])
def test_names_an_array_that_float32_cannot_hold(arrays):
    model = fitted(HandMade("affine", **arrays))
    with pytest.raises(ValueError, match=rf"affine_0\.{next(iter(arrays))} .* float32"):
        export_to_keras(model, dtype="float32")
    assert export_to_keras(model, dtype="float64").dtype == "float64"


def test_a_flow_takes_a_model_over(small_model, moons):
    other = RBIG(blocks="classic", n_blocks=2, n_components=4, random_state=1).fit(moons)
    flow = export_to_keras(small_model)
    flow.compile("adam")
    assert export_to_keras(other, into=flow) is flow
    np.testing.assert_array_equal(flow.log_prob(moons), export_to_keras(other).log_prob(moons))


def test_a_flow_that_differs_is_named_and_left_alone(small_model, model, moons):
    flow = export_to_keras(small_model)
    before = flow.log_prob(moons)
    message = r"layer 1 is .*means \(2, 9\).* in the model, .*means \(2, 5\).* in the flow"
    with pytest.raises(ValueError, match=message):
        export_to_keras(model, into=flow)
    short = make_gaussianization_flow(2, 1)
    with pytest.raises(ValueError, match=r"layer 0 is Affine .* in the model, Householder"):
        export_to_keras(small_model, into=short)
    np.testing.assert_array_equal(flow.log_prob(moons), before)
