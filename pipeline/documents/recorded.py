"""The recorded run's results, beside the notebook's."""

import json
from typing import Any

from pipeline.core import files, paths

SPLITS = {
    "kaggle_test": "val + test, the notebook's validation set",
    "val": "val (PublicTest), which chose the epoch",
    "test": "test (PrivateTest), read once",
    "test_clean": "test without images that stand in train",
}


def table() -> str:
    """Return the recorded run's results as Markdown."""
    out = paths.Outputs()
    metrics, speed, run = (json.loads(path.read_text()) for path in (out.metrics, out.speed, out.run))
    last = files.read_csv(out.history)[-1]
    model, hardware, versions = metrics["model"], run["hardware"], run["versions"]
    rows = [f"| {what} | {_share(metrics[split])} | {_notebook(split)} |" for split, what in SPLITS.items()]
    return "\n".join(
        [
            f"| {metrics['data']['name']} ({metrics['data']['digest'][:12]}) | {model['name']} here | notebook |",
            "|---|---|---|",
            *rows,
            f"| train, augmented, in epoch {last['epoch']:.0f} | {last['accuracy']:.2%} | 54.22% |",
            f"| manual inspection | {metrics['inspection']['right']} of {metrics['inspection']['images']} | 3 of 7 |",
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


def _share(scores: dict[str, Any]) -> str:
    return "{accuracy:.2%} ({accuracy_low:.2%} to {accuracy_high:.2%})".format(**scores)


def _notebook(split: str) -> str:
    return "52.43%" if split == "kaggle_test" else ""
