"""Optimizers: the learning rate over a training, what weight decay spares, and what Muon does to a kernel."""

import keras
import numpy as np
import pytest
from keras import layers

from pipeline.core.schema import AdamW, Constant, Cosine, Muon, Sgd
from pipeline.train import optimizers

CONSTANT = Constant(name="constant")
DECAYED = {
    "adamw": AdamW(name="adamw", learning_rate=0.1, beta_1=0.9, beta_2=0.999, weight_decay=0.5, clip_norm=None),
    "muon": Muon(name="muon", learning_rate=0.1, momentum=0.95, weight_decay=0.5, clip_norm=None),
    "sgd": Sgd(name="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.5, clip_norm=None),
}


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing():
    rate = optimizers.rate(Cosine(name="cosine", warmup=0.25), 0.4, 100)
    found = np.array([float(rate(step)) for step in range(101)])
    np.testing.assert_allclose(found[:26], np.linspace(0, 0.4, 26), rtol=1e-5)
    np.testing.assert_allclose(found[25:], 0.2 * (1 + np.cos(np.pi * np.linspace(0, 1, 76))), atol=1e-6)


def test_a_cosine_without_warmup_begins_at_its_peak():
    rate = optimizers.rate(Cosine(name="cosine", warmup=0.0), 0.4, 100)
    np.testing.assert_allclose([float(rate(0)), float(rate(50)), float(rate(100))], [0.4, 0.2, 0], atol=1e-6)


def test_a_warmup_of_nearly_all_steps_leaves_one_to_fall():
    rate = optimizers.rate(Cosine(name="cosine", warmup=0.99), 0.4, 10)
    np.testing.assert_allclose([float(rate(0)), float(rate(9)), float(rate(10))], [0, 0.4, 0], atol=1e-6)


@pytest.mark.parametrize("name", DECAYED)
def test_weight_decay_shrinks_kernels_alone(name):
    net = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(3)]
    )
    net.set_weights([np.ones_like(w) for w in net.get_weights()])
    optimizer = optimizers.build(DECAYED[name], CONSTANT, 10)
    optimizer.build(net.trainable_variables)
    optimizer.apply([keras.ops.zeros(v.shape) for v in net.trainable_variables])
    for variable in net.trainable_variables:
        np.testing.assert_allclose(variable.numpy(), 0.95 if variable.name == "kernel" else 1.0, rtol=1e-6)


def test_muon_moves_a_kernel_by_an_orthogonal_step_and_the_last_layer_as_adam_does():
    net = keras.Sequential(
        [keras.Input((8, 8, 2)), layers.Conv2D(6, 3, use_bias=False), layers.Flatten(), layers.Dense(3, use_bias=False)]
    )
    optimizer = optimizers.build(
        Muon(name="muon", learning_rate=0.1, momentum=0.95, weight_decay=0.0, clip_norm=None), CONSTANT, 10
    )
    before = net.get_weights()
    gradients = [np.random.default_rng(0).normal(size=w.shape).astype(np.float32) for w in before]
    optimizer.build(net.trainable_variables)
    optimizer.apply(gradients)
    (kernel, dense) = (w - b for w, b in zip(net.get_weights(), before, strict=True))
    singular = np.linalg.svd(kernel.reshape(18, 6), compute_uv=False)
    # 0.2 sqrt(18) 0.1; five steps of Newton and Schulz come within a third of it.
    np.testing.assert_allclose(singular / (0.02 * np.sqrt(18)), 1, atol=0.35)
    # Adam's epsilon, 1e-7, takes up to 0.2% off where a gradient is below 1e-4.
    np.testing.assert_allclose(np.abs(dense), 0.1, rtol=1e-2)


def test_muon_leaves_depthwise_kernels_to_adam():
    net = keras.Sequential([keras.Input((8, 8, 4)), layers.SeparableConv2D(6, 3, use_bias=False)])
    optimizer = optimizers.build(
        Muon(name="muon", learning_rate=0.1, momentum=0.95, weight_decay=0.0, clip_norm=None), CONSTANT, 10
    )
    before = net.get_weights()
    optimizer.build(net.trainable_variables)
    optimizer.apply([np.random.default_rng(0).normal(size=w.shape).astype(np.float32) for w in before])
    depthwise, pointwise = (np.abs(w - b) for w, b in zip(net.get_weights(), before, strict=True))
    np.testing.assert_allclose(depthwise, 0.1, rtol=1e-2)
    assert pointwise.std() > 0.01
