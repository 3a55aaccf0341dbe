from __future__ import annotations

import pytest
import torch

from detkit.inference.device import pick_dtype
from detkit.training.optim.precision import resolve_precision


@pytest.mark.parametrize(
    ("onednn", "probes", "training", "detection"),
    [
        (True, (), "fp32", torch.float32),
        (True, ("amx_tile",), "bf16", torch.bfloat16),
        (True, ("avx512_bf16",), "bf16", torch.bfloat16),
        (False, ("amx_tile", "avx512_bf16"), "fp32", torch.float32),
    ],
)
def test_auto_precision_on_a_cpu_depends_on_its_instructions(
    onednn: bool, probes: tuple[str, ...], training: str, detection: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn, raising=False)
    for name in ("amx_tile", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda supported=name in probes: supported, raising=False)
    assert resolve_precision("auto", torch.device("cpu")) == training
    assert pick_dtype("auto", torch.device("cpu")) == detection


def test_precision_on_a_cpu() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("bf16", cpu) == "bf16"
    with pytest.raises(ValueError, match="expected a GPU, got the CPU"):
        resolve_precision("fp16", cpu)


@pytest.mark.parametrize("onednn", [True, False])
def test_training_in_slow_bf16_is_warned_about(onednn: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn, raising=False)
    assert resolve_precision("bf16", torch.device("cpu")) == "bf16"
    assert ("no bfloat16 instructions" in caplog.text) is not onednn
