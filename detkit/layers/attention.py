"""Attention of several heads, out of the parts of :class:`torch.nn.MultiheadAttention`."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.MultiheadAttention):
    """torch's module with the same parameters and the same result, without its weights, whose parts are called one by one.

    So what stands round a training (:class:`detkit.ops.fast_gradients.FastGradients`) sees the attention itself.

    Args:
        channels: Of queries, keys, values and the result.
        heads: That attend apart; they share the channels.
        dropout: Share of the weights dropped while training.
    """

    def __init__(self, channels: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__(channels, heads, dropout=dropout, batch_first=True)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, padded: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """``(B, Q, channels)``, of queries ``(B, Q, channels)``, keys and values ``(B, K, channels)``.

        Args:
            query: What asks.
            key: What is compared with it.
            value: What is given back.
            padded: ``(B, K)`` bool, True for keys that nobody sees; None: all are seen.
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (self._heads(functional.linear(*parts)) for parts in zip((query, key, value), weights, biases, strict=True))
        seen = None if padded is None else ~padded[:, None, None]
        dropped = self.dropout if self.training else 0.0
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropped)
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """``(B, length, channels)`` to ``(B, heads, length, channels of a head)``."""
        return x.view(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)
