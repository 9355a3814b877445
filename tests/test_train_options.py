"""Options of training: class weights, early stopping, precision, clipping, frozen layers; and the step reused."""

import keras
import numpy as np
import pytest

from pipeline.core.errors import PipelineError
from pipeline.core.schema import Cosine, Sgd
from pipeline.data.arrays import Split
from pipeline.train import loop
from pipeline.train.targets import class_weights
from tests.training import ADAM, CONSTANT, numbers, train, two_classes


@pytest.fixture(scope="module")
def splits() -> tuple[Split, Split]:
    return two_classes()


def same(one: keras.Model, other: keras.Model) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_class_weights_are_those_of_their_sources_with_a_mean_of_one():
    counts = np.array([3995, 436, 4097, 7215, 4965, 4830, 3171])  # FER-2013's training set
    assert class_weights("none", counts) is None
    balanced = [1.0266, 9.4066, 1.0010, 0.5684, 0.8260, 0.8491, 1.2933]  # n / (k count), as scikit-learn says
    np.testing.assert_allclose(class_weights("balanced", counts), balanced, atol=1e-4)
    effective = class_weights("effective", counts)
    assert effective @ counts / counts.sum() == pytest.approx(1)
    # (1 - 0.999^7215) / (1 - 0.999^436): the weight of disgust over that of happy.
    assert effective[1] / effective[3] == pytest.approx(0.99927 / 0.35353, rel=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_an_image_counts_as_its_class_says_and_a_mixture_as_its_parts(smoothing):
    import tensorflow as tf

    labels = (1 - smoothing) * np.eye(3, dtype=np.float32) + np.float32(smoothing / 3)
    batch = np.stack([labels[2], labels[0], 0.25 * labels[0] + 0.75 * labels[1]])
    source = tf.data.Dataset.from_tensors((np.zeros((3, 1)), batch))
    ((_, targets, weights),) = loop._weighted(source, labels, np.array([1.0, 2.0, 5.0]))
    np.testing.assert_array_equal(targets, batch)
    np.testing.assert_allclose(weights, [5, 1, 0.25 * 1 + 0.75 * 2], rtol=1e-5)


@pytest.mark.slow
class TestTrained:
    def test_balanced_classes_raise_the_recall_of_a_rare_class(self, splits, tmp_path):
        whole, val = splits
        kept = np.flatnonzero((whole.labels == 0) | (np.arange(40) < 6))  # 20 of one class, 3 of the other
        rare = Split(whole.pixels, whole.rows[kept], whole.labels[kept])
        predicted = {}
        for kind in ("none", "balanced"):
            model, _ = train((rare, val), tmp_path / kind, epochs=3, learning_rate=0.003, class_weight=kind)
            predicted[kind] = model.predict(val.images()[..., None] / np.float32(255), verbose=0)[:, 1].mean()
        assert predicted["balanced"] > predicted["none"] + 0.05

    def test_patience_stops_and_a_resumed_training_stops_at_the_same_epoch(self, splits, tmp_path, capsys):
        images, val = splits
        misleading = (images, Split(val.pixels, val.rows, 1 - val.labels))  # learning lowers the accuracy
        whole, state = train(misleading, tmp_path / "whole", epochs=20, learning_rate=0.03, patience=2)
        best = loop.best_epoch(state.history)
        assert len(state.history) == best + 2 < 20
        assert f"no higher val accuracy since epoch {best}" in capsys.readouterr().out
        with pytest.raises(KeyboardInterrupt):
            train(misleading, tmp_path / "c", epochs=20, learning_rate=0.03, patience=2, stop_after=best + 1)
        for _ in range(2):  # the second start finds a training that has stopped
            resumed, again = train(misleading, tmp_path / "c", epochs=20, learning_rate=0.03, patience=2)
            assert numbers(again.history) == numbers(state.history)
            assert same(resumed, whole)

    def test_bfloat16_learns_and_leaves_a_float32_model(self, splits, tmp_path):
        model, state = train(splits, tmp_path / "fast", epochs=8, precision="bfloat16")
        assert state.history[-1]["val_accuracy"] > 0.9
        assert {weight.dtype for weight in model.get_weights()} == {np.dtype(np.float32)}
        assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
        _, exact = train(splits, tmp_path / "exact", epochs=8)
        assert numbers(state.history) != numbers(exact.history)

    def test_clipped_gradients_make_a_step_no_longer_than_their_norm(self, splits, tmp_path):
        images, val = splits
        batch = Split(images.pixels, images.rows[:16], images.labels[:16])  # one step of one epoch
        moved = {}
        for norm in (None, 0.01):
            sgd = Sgd(name="sgd", learning_rate=1.0, momentum=0.0, weight_decay=0.0, clip_norm=norm)
            start, _ = train((batch, val), tmp_path / f"start{norm}", optimizer=sgd, learning_rate=1e-9, epochs=1)
            end, _ = train((batch, val), tmp_path / f"end{norm}", optimizer=sgd, learning_rate=1.0, epochs=1)
            pairs = zip(start.get_weights(), end.get_weights(), strict=True)
            moved[norm] = np.sqrt(sum(np.square(a - b).sum() for a, b in pairs))
        assert moved[0.01] == pytest.approx(0.01, rel=1e-3)
        assert moved[None] > 0.02

    def test_frozen_layers_keep_their_weights(self, splits, tmp_path):
        before, _ = train(splits, tmp_path / "before", epochs=1, learning_rate=1e-9)
        after, _ = train(splits, tmp_path / "after", epochs=1, init="some.h5", freeze=5)
        kept = [np.allclose(a, b, atol=1e-6) for a, b in zip(before.get_weights(), after.get_weights(), strict=True)]
        assert kept == [True] * 10 + [False] * (len(kept) - 10)  # five convolutions: a kernel and a bias each
        with pytest.raises(PipelineError, match=r"train\.freeze is 7; accepted: 0 to 6"):
            train(splits, tmp_path / "all", init="some.h5", freeze=7)

    @pytest.mark.parametrize("schedule", [CONSTANT, Cosine(name="cosine", warmup=0.3)])
    def test_a_training_is_the_same_bits_whatever_was_trained_before_it(self, splits, tmp_path, schedule):
        loop._last.clear()
        alone, state = train(splits, tmp_path / "alone", schedule=schedule, learning_rate=0.02)
        train(splits, tmp_path / "other", schedule=schedule, learning_rate=0.1, class_weight="balanced")
        with pytest.raises(KeyboardInterrupt):
            train(splits, tmp_path / "stopped", schedule=schedule, learning_rate=0.05, stop_after=1)
        after, again = train(splits, tmp_path / "after", schedule=schedule, learning_rate=0.02)
        assert numbers(again.history) == numbers(state.history)
        assert same(alone, after)

    def test_a_step_is_compiled_once_where_only_numbers_differ(self, splits, tmp_path):
        train(splits, tmp_path / "a", learning_rate=0.02, epochs=1)
        step = loop._last[0].model
        train(splits, tmp_path / "b", learning_rate=0.03, epochs=2, label_smoothing=0.1)
        assert loop._last[0].model is step
        train(splits, tmp_path / "c", optimizer=ADAM.model_copy(update={"beta_1": 0.8}), epochs=1)
        assert loop._last[0].model is not step
