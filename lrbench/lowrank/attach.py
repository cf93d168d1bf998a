"""Put LR-Layers on any named modules of any network."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.lowrank.layer import LRLayer
from lrbench.lowrank.pieces import Penalty


class LRLayers(nn.Module):
    """The LR-Layers of one network, reached as `net.lr_layers`; a mapping from module names to layers.

    A training loop adds `penalty()` to the loss and calls `update()` after the optimiser's step:

    >>> loss = criterion(net(x), y) + net.lr_layers.penalty()   # doctest: +SKIP
    >>> loss.backward(); optimizer.step(); net.lr_layers.update()   # doctest: +SKIP
    """

    def __init__(self, layers: Mapping[str, LRLayer]) -> None:
        super().__init__()
        self.names = list(layers)
        self.layers = nn.ModuleList(layers.values())

    def __getitem__(self, name: str) -> LRLayer:
        layer = self.layers[self.names.index(name)]
        assert isinstance(layer, LRLayer)  # noqa: S101
        return layer

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def forward(self, x: Tensor) -> Tensor:
        """Give x back: in an `nn.Sequential` this module is called as its last member."""
        return x

    def enable(self, *, enabled: bool = True) -> None:
        """Switch all layers on or off; off, they cost nothing and remember nothing."""
        for name in self:
            self[name].enabled = enabled
            self[name].forget(batches=True)

    def penalties(self) -> dict[str, Penalty]:
        """L_c and L_N of each layer at the last forward pass."""
        return {name: self[name].penalty() for name in self}

    def penalty(self) -> Tensor:
        """Sum of all penalties at the last forward pass, a scalar to be added to the loss."""
        return torch.stack([part for penalty in self.penalties().values() for part in penalty]).sum()

    def update(self) -> None:
        """Update every layer's W and b; after the optimiser's step."""
        for name in self:
            self[name].update()


def attach_lr_layers(net: nn.Module, ranks: Mapping[str, int | Mapping[str, Any]], **options: Any) -> nn.Module:  # noqa: ANN401
    """Attach LR-Layers behind named modules; what the network computes stays the same bit for bit.

    Parameters
    ----------
    net : nn.Module
        Any network; changed in place: it gains hooks and the submodule `lr_layers`.
    ranks : mapping
        Module name -> target rank k, or -> keyword arguments of `LRLayer`, `rank` among them.
    **options
        Keyword arguments of `LRLayer` for all of them (projection, lambda_1, lambda_2, step, ...).

    Returns
    -------
    nn.Module
        `net` itself.

    Raises
    ------
    ValueError
        If `net` has LR-Layers already, `ranks` is empty, or an option is out of range.
    AttributeError
        If `net` has no module of a given name.

    Notes
    -----
    `torch.compile` takes what it compiled for the same network without hooks, earlier in a process, for this one too,
    unless `torch._dynamo.config.skip_nnmodule_hook_guards` is False; `lrbench.training.train` sees to that.
    """
    if hasattr(net, "lr_layers"):
        msg = "this network has LR-Layers already; attach all of them in one call"
        raise ValueError(msg)
    if not ranks:
        msg = "no layer named; pass for example {'avgpool': 50}"
        raise ValueError(msg)
    layers: dict[str, LRLayer] = {}
    for name, given in ranks.items():
        own = given if isinstance(given, Mapping) else {"rank": given}
        layers[name] = LRLayer(None, **{**options, **own})
        net.get_submodule(name).register_forward_hook(_Observe(layers[name]))
    net.lr_layers = LRLayers(layers)
    net.register_forward_pre_hook(_Begin(net.lr_layers))
    return net


class _Observe:
    """Forward hook that shows a module's output to its LR-Layer; a class, so that models copy and pickle."""

    def __init__(self, layer: LRLayer) -> None:
        self.layer = layer

    def __call__(self, module: nn.Module, _inputs: object, output: object) -> None:
        if not isinstance(output, Tensor):
            msg = f"an LR-Layer needs a tensor; {type(module).__name__} gives a {type(output).__name__}"
            raise TypeError(msg)
        self.layer(output)


class _Begin:
    """Forward pre-hook of the network: what an earlier pass left behind is not part of this one."""

    def __init__(self, layers: LRLayers) -> None:
        self.layers = layers

    def __call__(self, _module: nn.Module, _inputs: object) -> None:
        for name in self.layers:
            self.layers[name].forget()


def observes(hook: object) -> bool:
    """Whether a hook is one by which LR-Layers see activations."""
    return isinstance(hook, _Observe | _Begin)


def layer_at(model: nn.Module, name: str) -> LRLayer | None:
    """Give the LR-Layer on a module; None where there is none, or it never acted."""
    layers: Any = getattr(model, "lr_layers", None)
    if isinstance(layers, LRLayers) and name in layers and layers[name].features:
        return layers[name]
    return None


def bias_at(model: nn.Module, name: str) -> Tensor | float:
    """Give b of the LR-Layer on a module, on the CPU; 0 where there is none or it never acted (paper, section 4.2)."""
    layer = layer_at(model, name)
    return 0.0 if layer is None else layer.bias.cpu()


def subspace_at(model: nn.Module, name: str) -> tuple[Tensor, Tensor] | None:
    """Give the affine subspace of the LR-Layer on a module: orthonormal rows and b; None where there is none."""
    layer = layer_at(model, name)
    if layer is None:
        return None
    # What W reaches: less than the rows of its factor span, where the factor's coefficients are singular.
    factor = layer.mix.double().T @ layer.rows.double()
    _, sizes, directions = torch.linalg.svd(factor, full_matrices=False)
    kept = sizes > 1e-6 * sizes.max().clamp_min(1e-30)
    return directions[kept].float(), layer.bias
