"""The numbers of the model card: what each network in weights/ is worth, and on which emotions."""

from typing import Any

from pipeline.readme import recipes
from pipeline.readme.recipes import interval, markdown

SPLITS = ("val", "test", "test_clean")


def tables() -> str:
    """Return the networks in weights/, their accuracy, and the scores of each emotion on test, as Markdown."""
    found = [r for r in recipes.found() if r["data"]["name"] == "fer2013"]
    trusted = ("temperature", "sure from", "sure on test")
    rows = [["file", "recipe and seed", "parameters", "multiply-adds", "bytes", *SPLITS, *trusted]]
    rows += [_row(r) for r in found]
    parts = [markdown(rows), "", "Accuracy with its 95% interval. SHA-256:", ""]
    parts += [f"    {r['weights']['sha256']}  {r['recipe']}.h5" for r in found]
    for r in found:
        parts += ["", f"`{r['recipe']}.h5` on test, each emotion:", "", _emotions(r["weights"]["scores"]["test"])]
    return "\n".join([*parts, ""])


def _row(r: dict[str, Any]) -> list[str]:
    weights = r["weights"]
    size = [f"{r['parameters']:,}", f"{r['macs'] / 1e6:.1f} M", f"{weights['bytes']:,}"]
    recipe = [f"`{r['recipe']}.h5`", f"`{r['recipe']}`, {weights['seed']}"]
    sure = weights["sure"]["test"]
    trusted = [f"{weights['temperature']:.2f}", f"{weights['threshold']:.0%}"]
    trusted += [f"{sure['share']:.0%}, of them {sure['accuracy']:.1%} right"]
    return [*recipe, *size, *(interval(weights["scores"][s]) for s in SPLITS), *trusted]


def _emotions(scores: dict[str, Any]) -> str:
    rows = [["emotion", "images", "precision", "recall", "F1"]]
    for emotion, s in scores["emotions"].items():
        rows.append([emotion, str(s["images"]), *(f"{s[key]:.1%}" for key in ("precision", "recall", "f1"))])
    return markdown(rows)
