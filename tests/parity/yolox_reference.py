"""Independent implementation of YOLOX with the names of its released files, after the paper's appendix and its configs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIZES = {"nano": (1, 0.25), "tiny": (1, 0.375), "s": (1, 0.5), "m": (2, 0.75), "l": (3, 1.0), "x": (4, 1.25)}
"""Number of bottlenecks in the shortest blocks, and width factor."""


class Base(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return x * torch.sigmoid(x)


class Depthwise(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.dconv, self.pconv = Base(in_channels, in_channels, kernel, stride, in_channels), Base(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pconv(self.dconv(x))


class Bottleneck(nn.Module):
    def __init__(self, channels: int, shortcut: bool, conv: type[nn.Module]) -> None:
        super().__init__()
        self.conv1, self.conv2, self.shortcut = Base(channels, channels, 1), conv(channels, channels, 3), shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x)) + (x if self.shortcut else 0)


class CSP(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, depth: int, shortcut: bool, conv: type[nn.Module]) -> None:
        super().__init__()
        half = out_channels // 2
        self.conv1, self.conv2, self.conv3 = Base(in_channels, half, 1), Base(in_channels, half, 1), Base(2 * half, out_channels, 1)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut, conv) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(torch.cat((self.m(self.conv1(x)), self.conv2(x)), 1))


class SPP(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Base(channels, channels // 2, 1), Base(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        return self.conv2(torch.cat([x, *(nn.functional.max_pool2d(x, side, 1, side // 2) for side in (5, 9, 13))], 1))


class Focus(nn.Module):
    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.conv = Base(12, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        corners = (x[..., top::2, left::2] for left in (0, 1) for top in (0, 1))
        return self.conv(torch.cat(list(corners), 1))


class Darknet(nn.Module):
    def __init__(self, depth: int, base: int, conv: type[nn.Module]) -> None:
        super().__init__()
        self.stem = Focus(base)
        self.dark2 = nn.Sequential(conv(base, 2 * base, 3, 2), CSP(2 * base, 2 * base, depth, True, conv))
        self.dark3 = nn.Sequential(conv(2 * base, 4 * base, 3, 2), CSP(4 * base, 4 * base, 3 * depth, True, conv))
        self.dark4 = nn.Sequential(conv(4 * base, 8 * base, 3, 2), CSP(8 * base, 8 * base, 3 * depth, True, conv))
        self.dark5 = nn.Sequential(conv(8 * base, 16 * base, 3, 2), SPP(16 * base), CSP(16 * base, 16 * base, depth, False, conv))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c3 = self.dark3(self.dark2(self.stem(x)))
        c4 = self.dark4(c3)
        return c3, c4, self.dark5(c4)


class PAFPN(nn.Module):
    def __init__(self, depth: int, base: int, conv: type[nn.Module]) -> None:
        super().__init__()
        c3, c4, c5 = 4 * base, 8 * base, 16 * base
        self.backbone = Darknet(depth, base, conv)
        self.lateral_conv0, self.C3_p4 = Base(c5, c4, 1), CSP(2 * c4, c4, depth, False, conv)
        self.reduce_conv1, self.C3_p3 = Base(c4, c3, 1), CSP(2 * c3, c3, depth, False, conv)
        self.bu_conv2, self.C3_n3 = conv(c3, c3, 3, 2), CSP(2 * c3, c4, depth, False, conv)
        self.bu_conv1, self.C3_n4 = conv(c4, c4, 3, 2), CSP(2 * c4, c5, depth, False, conv)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        c3, c4, c5 = self.backbone(x)
        lateral = self.lateral_conv0(c5)
        middle = self.C3_p4(torch.cat((nn.functional.interpolate(lateral, scale_factor=2), c4), 1))
        reduced = self.reduce_conv1(middle)
        fine = self.C3_p3(torch.cat((nn.functional.interpolate(reduced, scale_factor=2), c3), 1))
        middle = self.C3_n3(torch.cat((self.bu_conv2(fine), reduced), 1))
        return fine, middle, self.C3_n4(torch.cat((self.bu_conv1(middle), lateral), 1))


class Head(nn.Module):
    def __init__(self, width: float, conv: type[nn.Module]) -> None:
        super().__init__()
        channels, hidden = [int(c * width) for c in (256, 512, 1024)], int(256 * width)

        def towers() -> nn.ModuleList:
            return nn.ModuleList(nn.Sequential(conv(hidden, hidden, 3), conv(hidden, hidden, 3)) for _ in channels)

        self.stems = nn.ModuleList(Base(c, hidden, 1) for c in channels)
        self.cls_convs, self.reg_convs = towers(), towers()
        self.cls_preds, self.reg_preds, self.obj_preds = (nn.ModuleList(nn.Conv2d(hidden, n, 1) for _ in channels) for n in (80, 4, 1))

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        outputs = []
        for level, x in enumerate(maps):
            x = self.stems[level](x)
            box, label = self.reg_convs[level](x), self.cls_convs[level](x)
            parts = self.reg_preds[level](box), self.obj_preds[level](box).sigmoid(), self.cls_preds[level](label).sigmoid()
            outputs.append(torch.cat(parts, 1).flatten(2).transpose(1, 2))
        return torch.cat(outputs, 1)


class YOLOX(nn.Module):
    """``(B, 3, H, W)`` BGR in [0, 255] to ``(B, N, 85)``: center and size as deltas, objectness, 80 class probabilities."""

    def __init__(self, size: str) -> None:
        super().__init__()
        depth, width = SIZES[size]
        conv = Depthwise if size == "nano" else Base
        self.backbone, self.head = PAFPN(depth, int(64 * width), conv), Head(width, conv)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))
