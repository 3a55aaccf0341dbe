"""Tensors out of a TorchScript archive, such as those that OpenAI released CLIP in, without loading the program in it."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import torch
from torch import Tensor

_OWN = "__torch__"
"""What the names of an archive's own classes begin with."""
_TYPES: Mapping[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def is_script(path: Path) -> bool:
    """Whether a file is an archive of TorchScript."""
    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def script_tensors(path: Path) -> dict[str, Tensor]:
    """The parameters and buffers of the archived module, by their dotted names.

    The archive's index is unpickled with nothing but tensors and containers allowed; its own classes become plain holders.

    Raises:
        pickle.UnpicklingError: the index holds other things.
        KeyError: a tensor's numbers are not in the archive.
    """
    with ZipFile(path) as archive:
        index = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(index) as file:
            module = _Reader(file, archive, index.removesuffix("data.pkl") + "data/").load()
    return dict(_named(module, ""))


class _Part:
    """Stands for a module of the archive; holds its attributes."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {})


def _named(part: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(part).items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, _Part):
            yield from _named(value, f"{prefix}{name}.")


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset).clone()


class _Reader(pickle.Unpickler):
    """Knows the few names that an archive's index may hold."""

    _KNOWN: Mapping[tuple[str, str], Callable[..., Any]] = {
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        ("collections", "OrderedDict"): OrderedDict,
        **{("torch.jit._pickle", f"build_{kind}list"): list for kind in ("int", "double", "bool", "tensor")},
        ("torch.jit._pickle", "restore_type_tag"): lambda value, _: value,
    }

    def __init__(self, file: Any, archive: ZipFile, folder: str) -> None:
        super().__init__(file)
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        if module.partition(".")[0] == _OWN:
            return _Part
        if (module, name) in self._KNOWN:
            return self._KNOWN[module, name]
        raise pickle.UnpicklingError(f"Unsupported global {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, count = pid
        return torch.frombuffer(bytearray(self.archive.read(f"{self.folder}{key}")), dtype=dtype, count=count)
