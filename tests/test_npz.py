from __future__ import annotations

import io
import resource
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from detkit.npz import read_npz

ARRAYS = {
    "boxes": np.arange(12, dtype=np.float32).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "scalar": np.array(7.5),
    "empty": np.zeros((0, 4), np.float32),
    "words": np.array(["a", "bcd"]),
}


def npy_bytes(header: dict[str, Any], data: bytes) -> bytes:
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, header)
    return stream.getvalue() + data


def archive(folder: Path, **members: bytes) -> Path:
    path = folder / "made.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_equal_numpys(save: Any, tmp_path: Path) -> None:
    save(tmp_path / "a.npz", **ARRAYS)
    for source in (tmp_path / "a.npz", (tmp_path / "a.npz").read_bytes()):
        read = read_npz(source)
        assert list(read) == list(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(read[name], array)
            assert read[name].dtype == array.dtype
    read["boxes"][0, 0] = 1  # arrays can be written to


def test_a_header_that_states_more_than_there_is(tmp_path: Path) -> None:
    """A header of a few bytes must not make the reader allocate its array."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 38, 4)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"an array of shape \(274877906944, 4\) has 16 bytes, expected 4,398,046,511,104"):
        read_npz(archive(tmp_path, boxes=npy_bytes(header, bytes(16))))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_header_that_is_no_python_literal(tmp_path: Path) -> None:
    """numpy passes such a header to Python's tokenizer, whose error has a base class of its own."""
    content = npy_bytes({"descr": "<f4", "fortran_order": False, "shape": (4,)}, bytes(16)).replace(b"}", b" ", 1)
    with pytest.raises(ValueError, match="EOF in multi-line statement|never closed|[Cc]annot parse"):
        read_npz(archive(tmp_path, boxes=content))


def test_an_archive_that_unpacks_to_a_multiple(tmp_path: Path) -> None:
    zeros = npy_bytes({"descr": "|u1", "fortran_order": False, "shape": (100 << 20,)}, bytes(100 << 20))
    path = archive(tmp_path, zeros=zeros)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ValueError, match=r"its [\d,]+ bytes would become 104,857,728, expected at most 67,108,864"):
        read_npz(path)
    assert read_npz(path, largest=200 << 20)["zeros"].shape == (100 << 20,)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"descr": "|O", "fortran_order": False, "shape": (2,)}, "it contains Python objects"),
        ({"descr": "<f4", "fortran_order": False, "shape": (-1, 4)}, "an array of shape"),
    ],
)
def test_objects_and_wrong_shapes(header: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_npz(archive(tmp_path, a=npy_bytes(header, bytes(16))))


def test_damage_anywhere_is_a_value_error_or_harmless(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", boxes=np.random.default_rng(0).random((20, 4), np.float32))
    good = (tmp_path / "a.npz").read_bytes()
    expected, refused = read_npz(good)["boxes"], 0
    for index in range(len(good)):
        for content in (good[:index] + bytes([good[index] ^ 0x55]) + good[index + 1 :], good[:index]):
            try:
                read = read_npz(content)
            except ValueError:
                refused += 1
            else:
                assert all((array == expected).all() for array in read.values())
    assert refused > len(good)
