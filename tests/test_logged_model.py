"""A model logged to MLflow: it loads in another folder, in a process that knows nothing of this project."""

import json
import sys
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest

from pipeline.serve import served
from pipeline.tracking import models
from tests.conftest import Project
from tests.imports import PACKAGE, closure

LOAD = """
import json, sys
import mlflow, numpy as np, pandas as pd
address, keras, picture = sys.argv[1:]
with open(picture, "rb") as file:
    pictures = [file.read(), np.full((48, 48), 90).tolist()]
found = mlflow.pyfunc.load_model(address)
rows = found.predict(pd.DataFrame({"image": pictures}), params={"whole": True})
print(json.dumps({
    "rows": json.loads(rows.to_json(orient="records")),
    "outputs": found.metadata.signature.outputs.input_names(),
    "weights": mlflow.tensorflow.load_model(keras).count_params(),
    "code": sys.modules["pipeline"].__path__[0],
}))
"""


@pytest.fixture(scope="module")
def client(finished) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{finished.path('mlflow.db')}")


@pytest.fixture
def picture(tmp_path) -> Path:
    cv2.imwrite(str(tmp_path / "noise.png"), np.random.default_rng(0).integers(0, 255, (90, 70, 3)))
    return tmp_path / "noise.png"


@pytest.mark.process
@pytest.mark.parametrize("by", ["alias", "run", "model"])
def test_it_loads_from_any_folder_with_its_own_code(finished, client, tmp_path, picture, by):
    version = client.get_model_version_by_alias("synthetic", "champion")
    (output,) = client.get_run(version.run_id).outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    address = {
        "alias": "models:/synthetic@champion",
        "run": f"runs:/{version.run_id}/{logged.name}",
        "model": f"models:/{logged.model_id}",
    }[by]
    store = f"sqlite:///{finished.path('mlflow.db')}"
    command = (sys.executable, "-c", LOAD, address, address, str(picture))
    done = Project(tmp_path).run(*command, real=True, MLFLOW_TRACKING_URI=store)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["code"].endswith("code/pipeline"), "not this checkout's"
    assert list(answer["rows"][0]) == [
        "picture",
        "face",
        "x",
        "y",
        "side",
        "angle",
        "prediction",
        "rejected",
        *answer["outputs"][8:],
    ]
    assert sorted(answer["rows"][0]) == sorted(answer["outputs"])
    here = served.ServedModel(finished.path("models/model.h5"))
    expected = here.predict([picture.read_bytes(), np.full((48, 48), 90)], {"whole": True})
    assert answer["rows"] == json.loads(expected.to_json(orient="records"))
    assert answer["weights"] == client.get_run(version.run_id).data.metrics["model/parameters"]


def test_it_has_the_name_of_its_run_and_its_metrics_on_each_dataset(client):
    version = client.get_model_version_by_alias("synthetic", "champion")
    run = client.get_run(version.run_id)
    (logged,) = client.search_logged_models([run.info.experiment_id])
    assert (run.info.run_name, logged.name) == (
        "seed_cnn, adam 0.001, epochs 3, seed 2",
        "seed_cnn-adam-0-001-epochs-3-seed-2",
    )
    on = {metric.key: metric.dataset_name for metric in logged.metrics}
    assert on["val/accuracy"] == "synthetic val"
    assert on["test/accuracy"] == "synthetic test"
    assert {metric.key: metric.value for metric in logged.metrics}["test/accuracy"] == run.data.metrics["test/accuracy"]
    assert logged.params["optimizer.learning_rate"] == "0.001"


def test_a_run_has_its_splits_as_datasets(client, finished):
    run = client.get_run(client.get_model_version_by_alias("synthetic", "champion").run_id)
    found = {each.dataset.name: (each.dataset, each.tags[0].value) for each in run.inputs.dataset_inputs}
    assert {name: context for name, (_, context) in found.items()} == {
        "synthetic train": "training",
        "synthetic val": "validation",
        "synthetic test": "testing",
    }
    digest = json.loads(finished.path("results/run.json").read_text())["data"]["digest"]
    train = found["synthetic train"][0]
    assert train.digest == digest[:12]
    profile = json.loads(train.profile)
    assert profile["images"] == 56
    assert profile["happy"] == 8
    assert Path(json.loads(train.source)["uri"].removeprefix("file://")) == finished.path(
        "data/arrays/synthetic/train.npy"
    )


def test_it_brings_the_code_that_predictions_need_and_no_more():
    needed = {path.relative_to(PACKAGE).as_posix() for path in closure(PACKAGE / "serve" / "served.py")}
    assert set(models.CODE) == needed
