"""Reading tensors from a TorchScript archive, such as the released CLIP files, without loading its program."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import torch
from torch import Tensor

_OWN = "__torch__"
"""Prefix of the names of an archive's own classes."""
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
    """Return whether a file is a TorchScript archive."""
    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def script_tensors(path: Path) -> dict[str, Tensor]:
    """Return the parameters and buffers of the archived module, by dotted name.

    Unpickling the archive's index allows only tensors and containers; its own classes are replaced by plain attribute holders.

    Raises:
        pickle.UnpicklingError: If the index contains other objects.
        KeyError: If the data of a tensor is not in the archive.
    """
    with ZipFile(path) as archive:
        index = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(index) as file:
            module = _IndexReader(file, archive, index.removesuffix("data.pkl") + "data/").load()
    return dict(_named(module, ""))


class _Module:
    """A stand-in for a module of the archive that holds its attributes."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {})


def _named(module: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, _Module):
            yield from _named(value, f"{prefix}{name}.")


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    if prod(size) > storage.numel():  # repeated numbers: a few bytes would become any amount of memory
        raise ValueError(f"expected a tensor of at most {storage.numel()} numbers, got the shape {tuple(size)}")
    return storage.as_strided(size, stride, offset).clone()


class _IndexReader(pickle.Unpickler):
    """An unpickler that allows only the few names that an archive's index may contain."""

    _ALLOWED: Mapping[tuple[str, str], Callable[..., Any]] = {
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
            return _Module
        if (module, name) in self._ALLOWED:
            return self._ALLOWED[module, name]
        raise pickle.UnpicklingError(f"Unsupported global {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, count = pid
        return torch.frombuffer(bytearray(self.archive.read(f"{self.folder}{key}")), dtype=dtype, count=count)
