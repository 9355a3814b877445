"""The champion: the rule by which a model takes its place."""

import pytest

from pipeline.core import paths
from pipeline.core.schema import EMOTIONS, Tracking
from pipeline.tracking import registry
from pipeline.tracking.tracker import Tracker

DATA = {"name": "fer2013", "digest": "a" * 64}


@pytest.fixture(scope="module")
def tracker(tmp_path_factory):
    before, paths.MLRUNS = paths.MLRUNS, tmp_path_factory.mktemp("store") / "mlruns"
    paths.MLRUNS.mkdir()
    yield Tracker(Tracking(uri=None, experiment="test"))
    paths.MLRUNS = before


CODE = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Same(PythonModel):
    def predict(self, context, model_input: list[str], params=None) -> list[str]:
        return model_input


set_model(Same())
"""


@pytest.fixture
def trained(tracker, tmp_path):
    """Return the function that adds a run with a model, and offers it with some val accuracy."""
    import mlflow

    (tmp_path / "model.py").write_text(CODE)

    def add(accuracy: float, data: dict[str, str] = DATA, classes=EMOTIONS) -> tuple[str, str | None]:
        run_id = tracker.create("run", {}, {})
        with tracker.active(run_id):
            mlflow.pyfunc.log_model(name="model", python_model=str(tmp_path / "model.py"), pip_requirements=[])
        return run_id, registry.offer(tracker, run_id, data, list(classes), accuracy)

    return add


def champion(tracker, name: str) -> str:
    return tracker.client.get_model_version_by_alias(name, registry.CHAMPION).run_id


def test_a_higher_val_accuracy_on_the_same_images_takes_the_place(tracker, trained):
    first, address = trained(0.50)
    assert address == "models:/fer2013/1"
    assert champion(tracker, "fer2013") == first
    assert trained(0.49)[1] is None
    assert trained(0.50)[1] is None, "as good is not better"
    assert champion(tracker, "fer2013") == first
    better, address = trained(0.51)
    assert address == "models:/fer2013/2"
    assert champion(tracker, "fer2013") == better
    assert tracker.client.get_model_version("fer2013", "1").run_id == first, "earlier champions stay"
    other, _ = trained(0.1, data={**DATA, "digest": "b" * 64})
    assert champion(tracker, "fer2013") == other, "on other images there is nothing to compare"
    assert "on val is higher" in tracker.client.get_registered_model("fer2013").description


def test_models_of_other_emotions_have_a_champion_of_their_own(tracker, trained):
    run_id, address = trained(0.9, classes=["sad", "happy"])
    assert address == "models:/fer2013-happy-sad/1"
    assert champion(tracker, "fer2013-happy-sad") == run_id
