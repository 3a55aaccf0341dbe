"""Multi-head attention built from the parameters of :class:`torch.nn.MultiheadAttention`."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.MultiheadAttention):
    """torch's module with the same parameters and output, but calling each operator separately and returning no attention weights.

    This exposes the attention operator itself to function modes such as :class:`detkit.accelerate.fast_gradients.FastGradients`.

    Args:
        channels: Channels of queries, keys, values and output.
        heads: Number of attention heads, among which the channels are divided.
        dropout: Dropout probability of the attention weights in training.
    """

    def __init__(self, channels: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__(channels, heads, dropout=dropout, batch_first=True)

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, padded: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Attend to ``(B, K, channels)`` keys and values with ``(B, Q, channels)`` queries; returns ``(B, Q, channels)``.

        Args:
            query: Queries.
            key: Keys.
            value: Values.
            padded: ``(B, K)`` bool, True for keys to mask out; None: no mask.
            mask: ``(Q, K)`` bool, True where a query must not attend to a key; used if ``padded`` is None.
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (self._heads(functional.linear(*parts)) for parts in zip((query, key, value), weights, biases, strict=True))
        masked = mask if padded is None else padded[:, None, None]
        dropout = self.dropout if self.training else 0.0
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=None if masked is None else ~masked, dropout_p=dropout)
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """``(B, length, channels)`` to ``(B, heads, length, channels per head)``."""
        return x.view(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)
