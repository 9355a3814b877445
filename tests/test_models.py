"""The architectures: their size, and that .h5 files keep them."""

from importlib import import_module

import numpy as np
import pytest

from pipeline import models
from pipeline.core import paths
from pipeline.core.errors import PipelineError
from pipeline.metrics import cost
from pipeline.models import saved

NAMES = sorted(path.stem for path in (paths.CONF / "model").glob("*.yaml"))


def test_the_seed_network_is_the_notebooks(config):
    net = models.build(config().model, 7)
    assert len(net.layers) == 17
    assert {type(layer).__name__ for layer in net.layers} == {"Conv2D", "MaxPooling2D", "Dense", "Dropout", "Flatten"}
    assert sum(int(np.prod(w.shape)) for w in net.trainable_weights) == 167_239
    assert net.input_shape == (None, 48, 48, 1)


@pytest.mark.parametrize("name", NAMES)
def test_an_architecture_has_the_stated_size(config, name):
    settings = config(f"model={name}").model
    options = (paths.CONF / f"model/{name}.yaml").read_text().partition("\nname:")[0].replace("\n#", "")
    stated = " ".join(f"{import_module(f'pipeline.models.{name}').build.__doc__} {options}".split())
    net = models.build(settings, 7)
    assert f"{net.count_params():,} parameters, {cost.macs(net):,} MACs" in stated


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_h5_keeps_the_predictions(config, name, tmp_path):
    net = models.build(config(f"model={name}").model, 7)
    images = np.random.default_rng(0).random((9, 48, 48, 1), dtype=np.float32)
    net.save(tmp_path / "model.h5", include_optimizer=False)
    again = saved.load(tmp_path / "model.h5")
    np.testing.assert_array_equal(again.predict(images, verbose=0), net.predict(images, verbose=0))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_a_batch_of_any_size_is_learned_from(config, name):
    """oneDNN's issue 6035 ended the process, or never ended, at the last batch of an epoch."""
    net = models.build(config(f"model={name}").model, 7)
    net.compile("sgd", loss="sparse_categorical_crossentropy")
    images = np.random.default_rng(0).random((5, 48, 48, 1), dtype=np.float32)
    assert np.isfinite([net.train_on_batch(images, np.arange(5)) for _ in range(3)]).all()


def test_the_width_of_the_last_layer_is_the_number_of_emotions(config):
    assert models.build(config().model, 3).output_shape == (None, 3)


@pytest.mark.parametrize("content", [b"", b"<html>no model</html>"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "model.h5").write_bytes(content)
    with pytest.raises(PipelineError, match=r"model\.h5 is not a readable Keras model"):
        saved.load(tmp_path / "model.h5")
