"""What learns on the CPU goes by the way whose gradients are quick."""

from __future__ import annotations

from typing import Any

from torch.nn import functional
from torch.overrides import TorchFunctionMode

from detkit.ops.attention import attend_in_float32, learns_roughly
from detkit.ops.depthwise import convolve_in_float32, learns_depthwise


class FastGradients(TorchFunctionMode):
    """Within it, depthwise convolutions and attention on the CPU that learn run in float32 also under autocast, with a fast backward.

    Without it a training step of EfficientNet-Lite0 in bfloat16 takes 2.5 times as long. What comes out has the type that autocast
    would give, so that what follows stays in bfloat16. Modules that call ``multi_head_attention_forward`` of torch hide their attention
    from it; :class:`detkit.layers.attention.Attention` does not.
    """

    def __torch_function__(self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Everything else is called as it was."""
        if function is functional.conv2d and not kwargs and len(args) == 7 and learns_depthwise(args[0], args[1], args[6]):
            return convolve_in_float32(*args)
        if function is functional.scaled_dot_product_attention and args and learns_roughly(args[0]):
            return attend_in_float32(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))
