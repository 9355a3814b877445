"""The recorded run's results, beside the notebook's where both are on the same images."""

import json
from typing import Any

from pipeline.core import files, paths
from pipeline.core.constants import EMOTIONS
from pipeline.readme.recipes import markdown

NOTEBOOK = {"kaggle_test": "52.43%", "train": "54.22%", "inspection": "3 of 7"}
"""What the notebook states: accuracies after 60 epochs on FER-2013, all emotions, and of its seven pictures."""


def table() -> str:
    """Return the recorded run's results as Markdown."""
    out = paths.Outputs()
    metrics, speed, run = (json.loads(path.read_text()) for path in (out.metrics, out.speed, out.run))
    last = files.read_csv(out.history)[-1]
    data, model, hardware, versions = metrics["data"], metrics["model"], run["hardware"], run["versions"]
    beside = data["name"] == "fer2013" and set(run["config"]["data"]["classes"]) == set(EMOTIONS)
    augmented = ", augmented" if _augments(run["config"]["augment"]) else ""
    rows = [
        [f"{data['name']} ({data['digest'][:12]})", f"{model['name']} here", "notebook"],
        *([what, _share(metrics[split]), NOTEBOOK.get(split, "")] for split, what in _splits(run, beside).items()),
        [f"train{augmented}, in epoch {last['epoch']:.0f}", f"{last['accuracy']:.2%}", NOTEBOOK["train"]],
        ["manual inspection", "{right} of {images}".format(**metrics["inspection"]), NOTEBOOK["inspection"]],
    ]
    return "\n".join(
        [
            markdown(rows if beside else [row[:2] for row in rows]),
            "",
            f"Accuracy with its 95% interval; seed {run['config']['seed']}, one run. {model['name']}: "
            f"{model['parameters']:,} parameters, {model['layers']} layers, epoch {model['epoch']} of "
            f"{model['epochs']} kept. Trained in {speed['training_minutes']:.0f} minutes "
            f"({speed['training_images_per_second']:.0f} images/s) on {hardware['cores']} cores of "
            f"{hardware['processor']}, {hardware['platform']}, Python {versions['python']}, "
            f"TensorFlow {versions['tensorflow']}, Keras {versions['keras']}.",
            "",
        ]
    )


def _splits(run: dict[str, Any], beside: bool) -> dict[str, str]:
    """Return what each split is, and was used for; with `beside`, what the notebook did with it too."""
    public, private = (" (PublicTest)", " (PrivateTest)") if run["data"]["name"] == "fer2013" else ("", "")
    return {
        "kaggle_test": "val + test" + (", the notebook's validation set" if beside else ""),
        "val": f"val{public}" + (", which chose the epoch" if run["config"]["train"]["keep"] == "best" else ""),
        "test": f"test{private}, read once",
        "test_clean": "test without images that stand in train",
    }


def _augments(augment: dict[str, Any]) -> bool:
    """Tell whether these settings change an image: how pixels are interpolated alone does not."""
    return any(value for key, value in augment.items() if key != "interpolation")


def _share(scores: dict[str, Any]) -> str:
    return "{accuracy:.2%} ({accuracy_low:.2%} to {accuracy_high:.2%})".format(**scores)
