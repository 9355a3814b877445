"""The optimizer and its learning rate over the training."""

from typing import TYPE_CHECKING

import keras

from pipeline.train.muon import Muon

if TYPE_CHECKING:
    from pipeline.core.schema import Optimizer, Schedule


def build(optimizer: "Optimizer", schedule: "Schedule", steps: int) -> keras.Optimizer:
    """Return the optimizer of a training of `steps` steps.

    Weight decay, if the optimizer has it, is decoupled (Loshchilov and Hutter 2019, arXiv:1711.05101), and does not
    apply to biases and batch normalization. With `clip_norm`, the gradients of a step are scaled down to this norm of
    all of them together (Pascanu et al. 2013, arXiv:1211.5063).
    """
    settings = optimizer.model_dump(exclude={"name", "clip_norm"}) | {"global_clipnorm": optimizer.clip_norm}
    settings["learning_rate"] = rate(schedule, optimizer.learning_rate, steps)
    if optimizer.name == "adam":
        return keras.optimizers.Adam(**settings)
    settings["weight_decay"] = decay = optimizer.weight_decay or None
    if optimizer.name == "adamw":
        built = keras.optimizers.AdamW(**settings)
    elif optimizer.name == "muon":
        # Muon is not meant for the output layer, nor for depthwise kernels, which see one channel each: Adam is.
        built = Muon(**settings, adam_weight_decay=decay, exclude_layers=["dense", "depthwise"])
    else:
        built = keras.optimizers.SGD(**settings, nesterov=True)
    built.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return built


def rate(schedule: "Schedule", peak: float, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Return the learning rate, `peak` at its highest, over `steps` steps."""
    if schedule.name == "constant":
        return peak
    warmup = min(round(schedule.warmup * steps), steps - 1)
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(peak, steps)
    return keras.optimizers.schedules.CosineDecay(0.0, steps - warmup, warmup_target=peak, warmup_steps=warmup)
