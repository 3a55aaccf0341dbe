from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from detkit.accelerate.fused import can_fuse
from detkit.machine import Bf16Support, bf16_support

AVX2_ALONE = """
import torch
from torch import nn
from detkit.inference.device import pick_dtype
from detkit.accelerate.fused import FusedConv, can_fuse
from detkit.machine import Bf16Support, bf16_support
from detkit.training.optim.precision import resolve_precision
assert bf16_support() == Bf16Support(None, fused=False), bf16_support()
assert can_fuse() and not can_fuse(torch.bfloat16)
assert (pick_dtype("auto", torch.device("cpu")), resolve_precision("auto", torch.device("cpu"))) == (torch.float32, "fp32")
with torch.no_grad():
    conv, x = nn.Conv2d(8, 8, 3).bfloat16(), torch.randn(1, 8, 9, 9).bfloat16()
    torch.testing.assert_close(FusedConv.of(conv, nn.ReLU)(x), conv(x).relu())
"""


@pytest.mark.parametrize(
    ("onednn", "probes", "expected"),
    [
        (False, ("amx_tile", "avx512_bf16"), Bf16Support(None, fused=False)),
        (True, (), Bf16Support(None, fused=True)),
        (True, ("avx512_bf16",), Bf16Support("AVX512_BF16", fused=True)),
        (True, ("amx_tile", "avx512_bf16"), Bf16Support("AMX", fused=True)),
    ],
)
def test_bf16_support(onednn: bool, probes: tuple[str, ...], expected: Bf16Support, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn, raising=False)
    for name in ("amx_tile", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda supported=name in probes: supported, raising=False)
    assert bf16_support() == expected


def test_fusing_follows_onednn() -> None:
    assert can_fuse(torch.bfloat16) is (can_fuse() and bf16_support().fused)


@pytest.mark.skipif(platform.machine().lower() not in {"x86_64", "amd64"}, reason="only x86 processors can be limited to AVX2")
@pytest.mark.skipif(not can_fuse(), reason="this torch has no oneDNN, so that nothing fuses")
def test_any_x86_processor_can_be_limited_to_avx2() -> None:
    limits = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    subprocess.run([sys.executable, "-c", AVX2_ALONE], env=os.environ | limits, check=True)
