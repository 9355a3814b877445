"""Trained models in MLflow, complete: they load and are served where this project is not installed."""

import re
import shutil
import warnings
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline.core import paths

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import Model, ModelSignature

    from pipeline.tracking.tracker import Tracker

CODE = (
    "core/constants.py",
    "core/errors.py",
    "core/files.py",
    "core/locks.py",
    "core/runtime.py",
    "core/section.py",
    "data/arrays.py",
    "faces/classifier.py",
    "faces/detection.py",
    "faces/media.py",
    "faces/rows.py",
    "faces/sharpness.py",
    "faces/yunet.py",
    "faces/yunet_file.py",
    "metrics/calibration.py",
    "metrics/scores.py",
    "models/__init__.py",
    "models/runtimes.py",
    "models/saved.py",
    "models/untrusted.py",
    "serve/served.py",
)
"""The modules that predictions need: a logged model brings a copy of them."""
PACKAGES = (
    *("tensorflow", "keras", "numpy", "opencv-python-headless", "pillow", "pydantic", "scipy"),
    *("filelock", "requests"),
)
"""The packages that they import, besides MLflow's own."""


def log(tracker: "Tracker", run_id: str, model: Path, classes: list[str], epoch: int) -> str:
    """Log the .h5 file `model`, the weights of `epoch`, as the model of the run; return its id.

    A run has one model: after an interruption its model is completed, and a complete one stays.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    client, run = tracker.client, tracker.client.get_run(run_id)
    logged = of_run(tracker, run_id) or client.create_logged_model(
        run.info.experiment_id, model_name(run.info.run_name), run_id, params=run.data.params, model_type="classifier"
    )
    if logged.model_id not in {output.model_id for output in run.outputs.model_outputs}:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, epoch)])
    if logged.status != "READY":
        identity = {"model_uuid": logged.model_id, "model_id": logged.model_id}
        described = Model(artifact_path=logged.artifact_location, run_id=run_id, **identity)
        with TemporaryDirectory() as folder:
            write(Path(folder, "model"), model, classes, described)
            client.log_model_artifacts(logged.model_id, str(Path(folder, "model")))
        client.finalize_logged_model(logged.model_id, "READY")
    return logged.model_id


def of_run(tracker: "Tracker", run_id: str) -> "LoggedModel | None":
    """Return the model that the run has logged, if any."""
    run = tracker.client.get_run(run_id)
    found = tracker.client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    return next(iter(found), None)


def model_name(run_name: str) -> str:
    """Return the name of the run with hyphens for what MLflow's addresses of models cannot have."""
    return re.sub(r"[^\w=-]+", "-", run_name).strip("-")


def write(folder: Path, model: Path, classes: list[str], described: "Model | None" = None) -> None:
    """Write the .h5 file `model` into the new `folder` as an MLflow model, for `mlflow.pyfunc` and `mlflow.tensorflow`.

    With pyfunc, pictures go in, and the class of each face with all probabilities comes out: see
    pipeline/serve/served.py. With TensorFlow, it is the Keras model. Nothing is pickled.
    """
    import mlflow
    from mlflow.models import Model

    described = described or Model()
    with TemporaryDirectory() as temporary:
        code, data = Path(temporary, "pipeline"), Path(temporary, "keras")
        for name in CODE:
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(paths.ROOT / "pipeline" / name, code / name)
        data.mkdir()
        shutil.copyfile(model, data / "model.h5")
        (data / "keras_module.txt").write_text("tensorflow.keras")  # these two files are MLflow's
        (data / "save_format.txt").write_text("h5")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow asks for an example, to run the model on it
            mlflow.pyfunc.save_model(
                folder,
                loader_module="pipeline.serve.served",
                data_path=str(data),
                code_paths=[str(code)],
                mlflow_model=described,
                model_config={"detector": "yunet"},  # load_model takes another
                signature=_signature(classes),
                pip_requirements=[f"{name}=={metadata.version(name)}" for name in ("mlflow", *PACKAGES)],
            )
    keras = {"model_type": "keras", "save_format": "h5", "keras_version": metadata.version("tensorflow")}
    described.add_flavor("tensorflow", data="data/keras", code="code", **keras)
    described.save(str(folder / "MLmodel"))


def _signature(classes: list[str]) -> "ModelSignature":
    """Return the signature: a picture in; its faces with their prediction, box, reason and probabilities out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    number = [ColSpec(DataType.long, "picture")]
    text = [ColSpec(DataType.string, "prediction"), ColSpec(DataType.string, "rejected", required=False)]
    box = [ColSpec(DataType.long, name, required=False) for name in ("face", "x", "y", "side", "angle")]
    numbers = [ColSpec(DataType.double, name, required=False) for name in classes]
    params = ParamSchema([ParamSpec(name, DataType.boolean, default=False) for name in ("whole", "largest")])
    return ModelSignature(Schema([ColSpec(AnyType(), "image")]), Schema([*number, *text, *box, *numbers]), params)
