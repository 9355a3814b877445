"""A Keras network as a PyTorch module: the same layers and weights, for a comparison of speed."""

import keras
import numpy as np
import torch
from keras import layers
from torch import nn
from torch.nn import functional


class Twin(nn.Module):
    """The network `model` in PyTorch, on (n, 1, 48, 48) float32 images; returns logits.

    Raises TypeError for a layer that is not translated here.
    """

    def __init__(self, model: keras.Model):
        super().__init__()
        self.steps: list[tuple[str, list[str], layers.Layer]] = []
        self.modules_by_name = nn.ModuleDict()
        for layer in model.layers:
            if isinstance(layer, layers.InputLayer):
                continue
            before = [tensor._keras_history.operation.name for tensor in _inputs(layer)]
            self.steps.append((layer.name, before, layer))
            if (module := _module(layer)) is not None:
                self.modules_by_name[layer.name] = module
        self.inputs = {layer.name for layer in model.layers if isinstance(layer, layers.InputLayer)}
        self.inputs |= {name for _, before, _ in self.steps for name in before} - {name for name, *_ in self.steps}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = dict.fromkeys(self.inputs, images)
        for name, before, layer in self.steps:
            taken = [found[b] for b in before]
            found[name] = self.modules_by_name[name](*taken) if name in self.modules_by_name else _apply(layer, taken)
        return found[name]


def _inputs(layer: layers.Layer) -> list[keras.KerasTensor]:
    return layer.input if isinstance(layer.input, list) else [layer.input]


class _Padded(nn.Module):
    """What pads as TensorFlow's "same" does: more at the end than at the beginning."""

    def __init__(self, module: nn.Module, kernel: int, stride: int, value: float = 0.0):
        super().__init__()
        self.module, self.kernel, self.stride, self.value = module, kernel, stride, value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = [max((-(-n // self.stride) - 1) * self.stride + self.kernel - n, 0) for n in x.shape[2:]]
        height, width = total
        return self.module(
            functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2), value=self.value)
        )


def _convolution(kernel: np.ndarray, bias: np.ndarray | None, stride: int, same: bool, groups: int = 1) -> nn.Module:
    """Return the convolution with a Keras kernel (height, width, inputs of a group, outputs)."""
    size, _, inputs, outputs = kernel.shape
    padding = (size - 1) // 2 if same and stride == 1 else 0
    made = nn.Conv2d(inputs * groups, outputs, size, stride, padding, groups=groups, bias=bias is not None)
    with torch.no_grad():
        made.weight.copy_(torch.tensor(kernel.transpose(3, 2, 0, 1)))
        if bias is not None:
            made.bias.copy_(torch.tensor(bias))
    return _Padded(made, size, stride) if same and stride > 1 else made


def _module(layer: layers.Layer) -> nn.Module | None:
    """Return the module of a layer that has weights or a window; None for one that _apply computes."""
    weights = [np.asarray(w) for w in layer.get_weights()]
    same = getattr(layer, "padding", None) == "same"
    if isinstance(layer, layers.SeparableConv2D):
        depthwise = weights[0].transpose(0, 1, 3, 2)
        return nn.Sequential(
            _convolution(depthwise, None, layer.strides[0], same, groups=weights[0].shape[2]),
            _convolution(weights[1], weights[2] if layer.use_bias else None, 1, False),
        )
    if isinstance(layer, layers.Conv2D):
        made = _convolution(weights[0], weights[1] if layer.use_bias else None, layer.strides[0], same)
        return nn.Sequential(made, nn.ReLU()) if layer.activation is keras.activations.relu else made
    if isinstance(layer, layers.BatchNormalization):
        made = nn.BatchNorm2d(len(weights[0]), eps=layer.epsilon, momentum=1 - layer.momentum)
        with torch.no_grad():
            for target, w in zip((made.weight, made.bias, made.running_mean, made.running_var), weights, strict=True):
                target.copy_(torch.tensor(w))
        return made
    if isinstance(layer, layers.Dense):
        made = nn.Linear(*weights[0].shape)
        with torch.no_grad():
            made.weight.copy_(torch.tensor(weights[0].T))
            made.bias.copy_(torch.tensor(weights[1]))
        return nn.Sequential(made, nn.ReLU()) if layer.activation is keras.activations.relu else made
    if isinstance(layer, layers.MaxPooling2D):
        made = nn.MaxPool2d(layer.pool_size, layer.strides)
        return _Padded(made, layer.pool_size[0], layer.strides[0], -float("inf")) if same else made
    if isinstance(layer, layers.AveragePooling2D):
        return nn.AvgPool2d(layer.pool_size, layer.strides)
    if isinstance(layer, layers.GroupNormalization):
        return nn.GroupNorm(1, layer.input.shape[-1], eps=layer.epsilon, affine=False)
    if isinstance(layer, layers.Dropout):
        return nn.Dropout(layer.rate)
    return None


def _apply(layer: layers.Layer, taken: list[torch.Tensor]) -> torch.Tensor:
    """Return what a layer without weights gives, in PyTorch's order of axes: images are (n, c, h, w)."""
    (x, *rest) = taken
    if isinstance(layer, layers.ReLU):
        return functional.relu(x)
    if isinstance(layer, layers.Cropping2D):
        (top, bottom), (left, right) = layer.cropping
        return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]
    if isinstance(layer, layers.Reshape):
        x = (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).reshape(len(x), *layer.target_shape)
        return x.permute(0, 3, 1, 2) if x.dim() == 4 else x
    if isinstance(layer, layers.Permute):
        return x.permute(0, *layer.dims)
    if isinstance(layer, layers.Add):
        return x + rest[0]
    if isinstance(layer, layers.Flatten):
        return x.permute(0, 2, 3, 1).flatten(1) if x.dim() == 4 else x.flatten(1)
    if isinstance(layer, layers.GlobalAveragePooling2D):
        return x.mean((2, 3))
    if isinstance(layer, layers.Softmax):
        return x  # the loss takes logits
    raise TypeError(f"{type(layer).__name__} is not translated to PyTorch")
