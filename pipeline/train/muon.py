"""Muon for convolutions."""

import math

import keras
from keras import ops


class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """keras.optimizers.Muon with orthogonal steps for the kernels of convolutions too, taken as matrices.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon: a kernel is flattened to (inputs of a
    unit, units). Layers named in `exclude_layers`, biases and batch normalization take steps of Adam.

    `_should_use_adamw` is Keras' own and private: tests/test_optimizers.py fails if a version no longer calls it.
    """

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) < 2 or any(name in variable.path for name in self.exclude_layers)

    def zeropower_via_newtonschulz5(self, x: keras.KerasTensor, steps: int) -> keras.KerasTensor:
        """Return the orthogonal matrix nearest to the kernel `x`, in the shape of `x`."""
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        return ops.reshape(super().zeropower_via_newtonschulz5(matrix, steps), x.shape)

    def lr_adjust(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return the step scaled to the size that Adam's has (Liu et al. 2025, arXiv:2502.16982)."""
        return x * math.sqrt(max(math.prod(x.shape[:-1]), x.shape[-1])) * self.rms_rate
