"""What hostile and broken files are made of."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pickle_assembly as asm
import pytest
import torch

CANARY = "canary"
ORDER = f"open({CANARY!r}, 'w').write('x')"
SHELL = f"echo x > {CANARY}"


def state_of(value: bytes) -> bytes:
    return asm.pickled(asm.dictionary(x=value))


def zip_of(value: bytes, **records: bytes) -> bytes:
    return asm.torch_zip(state_of(value), **(records or {"s0": bytes(16)}))


def honest() -> bytes:
    buffer = io.BytesIO()
    torch.save({"x": torch.arange(1000.0)}, buffer)
    return buffer.getvalue()


def honest_legacy() -> bytes:
    buffer = io.BytesIO()
    torch.save({"x": torch.arange(1000.0)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def object_npy(value: bytes) -> bytes:
    return npy("{'descr': '|O', 'fortran_order': False, 'shape': (), }\n", value)


def npz(compressed: bool = True, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name + ".npy", data)
    return buffer.getvalue()


def safetensors(header: dict | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: str = "F32", shape: tuple = (2,), offsets: tuple = (0, 8)) -> dict:
    return {"x": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}}


def array(shape: tuple = (2,), kind: str = "f8", data: bytes = bytes(16), state: int = 4) -> bytes:
    dtype = asm.call(asm.name("numpy", "dtype"), asm.text(kind), asm.FALSE, asm.TRUE)
    empty = asm.call(
        asm.name("numpy.core.multiarray", "_reconstruct"),
        asm.name("numpy", "ndarray"),
        asm.tup(asm.integer(0)),
        asm.new_bytes(b"b"),
    )
    parts = [asm.integer(1), asm.tup(*map(asm.integer, shape)), dtype, asm.FALSE, asm.new_bytes(data)]
    return empty + asm.tup(*parts[: state + 1]) + asm.BUILD


def persistent(**changes: bytes) -> bytes:
    meta = {"type": asm.text("class"), "version": asm.integer(6), "module_src": asm.text(ORDER)}
    meta |= {"class_name": asm.text("Layer"), "state": asm.EMPTY_DICT, **changes}
    return asm.call(asm.name("torch_utils.persistence", "_reconstruct_persistent_obj"), asm.dictionary(**meta))


def sparse(shape: tuple, data, indices, starts) -> bytes:
    parts = {"data": asm.old_array(np.array(data), "<f8"), "indices": asm.old_array(np.array(indices), "<i4")}
    parts["indptr"] = asm.old_array(np.array(starts), "<i4")
    parts["_shape"] = asm.tup(*map(asm.integer, shape))
    return asm.old_object("scipy.sparse.csc", "csc_matrix", **parts)


def laughs(levels: int = 60) -> bytes:
    """Lists of two references each to the one before."""
    value = b"]q\x00"
    for level in range(levels):
        value += b"](" + b"h" + bytes([level]) + b"h" + bytes([level]) + b"eq" + bytes([level + 1])
    return value


def hashed_laughs(levels: int = 60) -> bytes:
    """A tuple of pairs of pairs of …, whose hash would take 2⁶⁰ steps."""
    value = b")q\x000"
    for level in range(levels):
        value += b"h" + bytes([level]) + b"h" + bytes([level]) + b"\x86q" + bytes([level + 1]) + b"0"
    return value + b"h" + bytes([levels])


def with_central(data: bytes, old: bytes, new: bytes) -> bytes:
    """Change the last occurrence, which is in the list of records."""
    head, _, tail = data.rpartition(old)
    return head + new + tail


def lying_size(claimed: int) -> bytes:
    """The list of records says that a storage is larger than the file."""
    data = zip_of(asm.tensor(asm.storage(count=claimed // 4), (claimed // 4,)))
    at = data.rfind(b"PK\x01\x02")
    return data[: at + 20] + struct.pack("<II", claimed, claimed) + data[at + 28 :]


def overlapping() -> bytes:
    """Two records that are the same bytes."""
    data = asm.torch_zip(state_of(asm.NONE), s0=bytes(4000), s1=bytes(4000))
    first = data.find(b"PK\x01\x02", data.find(b"PK\x01\x02") + 1)
    second = data.find(b"PK\x01\x02", first + 1)
    return data[: second + 42] + data[first + 42 : first + 46] + data[second + 46 :]


def twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data.pkl", state_of(asm.NONE))
        archive.writestr("archive/data.pkl", state_of(asm.call(asm.name("os", "system"), asm.text(SHELL))))
    return buffer.getvalue()


def encrypted() -> bytes:
    data = bytearray(zip_of(asm.NONE))
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


def tar() -> bytes:
    return b"x".ljust(257, b"\0") + b"ustar\x0000" + bytes(300)


def random() -> bytes:
    return np.random.Generator(np.random.PCG64(5)).bytes(3000)


def stack_global(module: bytes, attribute: bytes) -> bytes:
    return b"\x80\x04" + module + attribute + b"\x93."


def nested(levels: int) -> bytes:
    """A storage within the bytes of a storage within …"""
    inner = asm.tensor(asm.storage())
    for _ in range(levels):
        content = asm.new_bytes(asm.legacy_file(inner, []))
        inner = asm.call(asm.name("torch.storage", "_load_from_bytes"), content)
    return asm.pickled(inner)


@functools.cache
def every_kind() -> dict[str, bytes]:
    """One file of every kind that is read, by name."""
    content = {"x": torch.arange(6.0).reshape(2, 3).t(), "y": np.arange(4.0), "z": [1, "x", (None, 0.5)]}
    files: dict[str, bytes] = {}
    for name, modern in (("new.pt", True), ("old.pt", False)):
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=modern)
        files[name] = buffer.getvalue()
    files |= {f"{protocol}.pkl": pickle.dumps(content, protocol) for protocol in (0, 2, 5)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, y=content["y"], empty=np.zeros(0))
    files["a.npz"] = buffer.getvalue()
    buffer = io.BytesIO()
    np.save(buffer, np.array(content, object), allow_pickle=True)
    files["a.npy"] = buffer.getvalue()
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    files["a.safetensors"] = safetensors({"x": entry}, bytes(8))
    return files


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """A copy with one to three places overwritten, moved, cut out or filled in."""
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        at, count = int(random.integers(len(changed))), int(random.integers(1, 9))
        there = int(random.integers(len(changed)))
        match int(random.integers(4)):
            case 0:
                changed[at] ^= 1 << int(random.integers(8))
            case 1:
                changed[at : at + count] = changed[there : there + count]
            case 2 if len(changed) > 10:
                del changed[at : at + count]
            case _:
                changed[at:at] = random.bytes(count)
    return bytes(changed)


class Evil:
    def __reduce__(self):
        return os.system, (SHELL,)


STORAGE = asm.storage()
QUAD = asm.name("collections", "OrderedDict")
SYSTEM = asm.call(asm.name("os", "system"), asm.text(SHELL))
