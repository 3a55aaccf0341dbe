"""Weight gradient of a depthwise convolution on the CPU, compiled with numba."""

from __future__ import annotations

from typing import Any

from detkit.accelerate.threads import compiled


@compiled(fastmath=True)
def weight_gradient(x: Any, gradient: Any, first: int, last: int, stride: int, padding: int, out: Any) -> None:
    """Sum ``x * gradient`` over the output rows ``first`` to ``last`` (exclusive) of one image, for every kernel tap.

    Args:
        x: ``(H, W, C)`` float32 input.
        gradient: ``(H', W', C)`` float32 gradient of the output.
        first: First output row.
        last: Output row after the last one.
        stride: Stride of the convolution.
        padding: Padding of the convolution.
        out: ``(K, K, C)`` float32, overwritten with the sums.
    """
    height, width, channels = x.shape
    columns, side = gradient.shape[1], out.shape[0]
    out[:] = 0
    for row in range(first, last):
        for i in range(side):
            y = row * stride + i - padding
            if y < 0 or y >= height:
                continue
            for j in range(side):
                # Output columns whose input sample is inside the image.
                start = max(0, -((j - padding) // stride))
                stop = min(columns, (width - 1 + padding - j) // stride + 1)
                sums = out[i, j]
                column = start
                # Four columns at a time, so that the sums are loaded and stored once per four products.
                while column + 4 <= stop:
                    at = column * stride + j - padding
                    a, b, c, d = x[y, at], x[y, at + stride], x[y, at + 2 * stride], x[y, at + 3 * stride]
                    e, f, g, h = gradient[row, column], gradient[row, column + 1], gradient[row, column + 2], gradient[row, column + 3]
                    for channel in range(channels):
                        first_two = a[channel] * e[channel] + b[channel] * f[channel]
                        sums[channel] += first_two + c[channel] * g[channel] + d[channel] * h[channel]
                    column += 4
                while column < stop:
                    a, e = x[y, column * stride + j - padding], gradient[row, column]
                    for channel in range(channels):
                        sums[channel] += a[channel] * e[channel]
                    column += 1
