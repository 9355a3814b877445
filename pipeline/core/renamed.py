"""Names that earlier versions used in params.yaml, conf/ and on the command line, and what they are called now."""

KEYS = {
    "train.keep": "train.restore_best: true for best, false for last",
    "augment.mirror": "augment.flip",
    "teacher.networks": "teacher.models",
    "teacher.mirror": "teacher.flip",
    "evaluate.mirror": "evaluate.flip_tta",
    "data.draw_seed": "data.synthetic_seed",
}
OPTIONS = {
    "data/faces": "data/synthetic",
    "augment/mirror": "augment/flip",
    "teacher/first_mirror": "teacher/first_flip",
    "experiment/networks": "experiment/architectures",
    "experiment/seed": "experiment/notebook",
}
