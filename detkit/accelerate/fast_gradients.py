"""Routing of training on the CPU to operators with fast gradients."""

from __future__ import annotations

from typing import Any

from torch.nn import functional
from torch.overrides import TorchFunctionMode

from detkit.accelerate.attention import attention_in_float32, trains_in_bfloat16
from detkit.accelerate.depthwise import convolve_in_float32, trains_depthwise


class FastGradients(TorchFunctionMode):
    """Mode in which depthwise convolutions and attention train on the CPU in float32 with a fast backward, also under autocast.

    Without it a training step of EfficientNet-Lite0 in bfloat16 takes 2.5 times as long. Results have the dtype that autocast would
    give, so the layers that follow stay in bfloat16. The mode cannot see the attention of modules that call torch's
    ``multi_head_attention_forward``; it does see that of :class:`detkit.layers.attention.Attention`.
    """

    def __torch_function__(self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Replace the two slow functions and call every other one unchanged."""
        if function is functional.conv2d and not kwargs and len(args) == 7 and trains_depthwise(args[0], args[1], args[6]):
            return convolve_in_float32(*args)
        if function is functional.scaled_dot_product_attention and args and trains_in_bfloat16(args[0]):
            return attention_in_float32(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))
