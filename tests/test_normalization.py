"""Batch normalization in one operation: the same numbers as Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pipeline.train import normalization


@pytest.fixture
def pair() -> tuple[keras.Model, keras.Model]:
    """Return a network with batch normalization, and its copy with the fused one."""
    net = keras.Sequential([keras.Input((6, 5, 3)), layers.BatchNormalization(momentum=0.8), layers.ReLU()])
    rng = np.random.default_rng(3)
    net.set_weights([rng.random(w.shape) + 0.5 for w in net.get_weights()])
    copy = keras.models.clone_model(net, clone_function=normalization.fused)
    copy.set_weights(net.get_weights())
    assert isinstance(copy.layers[0], normalization.FusedBatchNormalization)
    return net, copy


@pytest.mark.parametrize("training", [True, False])
def test_values_gradients_and_averages_are_those_of_keras(pair, training):
    images = np.random.default_rng(4).normal(3, 2, (4, 6, 5, 3)).astype(np.float32)
    found = []
    for net in pair:
        x = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(y := net(x, training=training)) * images)
        found.append([y, *tape.gradient(loss, [x, *(v.value for v in net.trainable_variables)]), *net.get_weights()])
    for expected, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-4)


def test_only_plain_normalization_of_images_is_replaced():
    net = keras.Sequential(
        [keras.Input((4, 4, 2)), layers.BatchNormalization(scale=False), layers.Flatten(), layers.BatchNormalization()]
    )
    copy = keras.models.clone_model(net, clone_function=normalization.fused)
    assert [type(layer) for layer in copy.layers] == [type(layer) for layer in net.layers]


def test_a_frozen_layer_keeps_its_averages(pair):
    images = np.random.default_rng(4).normal(3, 2, (4, 6, 5, 3)).astype(np.float32)
    for net in pair:
        net.layers[0].trainable = False
        before = net.get_weights()
        answers = net(images, training=True), net(images, training=False)
        np.testing.assert_array_equal(*answers)
        for kept, now in zip(before, net.get_weights(), strict=True):
            np.testing.assert_array_equal(kept, now)


def test_images_in_bfloat16_are_normalized_with_float32_weights(pair):
    net, _ = pair
    copy = keras.models.clone_model(net, clone_function=lambda layer: normalization.fused(layer, "mixed_bfloat16"))
    copy.set_weights(net.get_weights())
    images = np.random.default_rng(4).normal(3, 2, (4, 6, 5, 3)).astype(np.float32)
    found = copy(tf.constant(images, tf.bfloat16), training=True)
    assert found.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(found, tf.float32), net(images, training=True), atol=0.05)
    for mine, given in zip(copy.get_weights(), net.get_weights(), strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, given, rtol=0.01)
