"""Files that claim what they do not hold, and files made to cost as much as they can."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pickle_assembly as asm
from hostile_parts import (
    ORDER,
    QUAD,
    STORAGE,
    SYSTEM,
    array,
    encrypted,
    entry,
    honest,
    honest_legacy,
    lying_size,
    nested,
    npy,
    npz,
    overlapping,
    safetensors,
    sparse,
    state_of,
    twice,
    with_central,
    zip_of,
)

CLAIMS: dict[str, tuple] = {
    # storages and tensors
    "no_storages": (state_of(STORAGE), "storages outside itself"),
    "text_persistent_id": (b"(Px\n.", "storages outside itself"),
    "persistent_id_text": (zip_of(asm.text("x") + b"Q"), "persistent id is not"),
    "persistent_id_short": (zip_of(asm.tup(asm.text("storage")) + b"Q"), "persistent id is not"),
    "persistent_id_module": (
        zip_of(asm.tup(asm.text("module"), QUAD, asm.text("a.py"), asm.text(ORDER), asm.NONE) + b"Q"),
        "persistent id is not",
    ),
    "storage_of_class": (
        zip_of(asm.tup(asm.text("storage"), QUAD, asm.text("0"), asm.text("cpu"), asm.integer(4)) + b"Q"),
        "not a type of storage",
    ),
    "storage_path": (zip_of(asm.storage(key="../../etc/passwd")), "a number is expected"),
    "storage_key_number": (
        zip_of(
            asm.tup(
                asm.text("storage"), asm.name("torch", "IntStorage"), asm.integer(0), asm.text("cpu"), asm.integer(4)
            )
            + b"Q"
        ),
        "storage has the name 0",
    ),
    "storage_missing": (zip_of(asm.storage(key="1")), "lacks the record data/1"),
    "storage_negative": (zip_of(asm.storage(count=-4)), "-4 values"),
    "storage_bool": (
        zip_of(asm.tup(asm.text("storage"), asm.name("torch", "IntStorage"), asm.text("0"), asm.NONE, asm.TRUE) + b"Q"),
        "claims True values",
    ),
    "storage_larger": (zip_of(asm.storage(count=5)), "claims 20 bytes; its record has 16"),
    "storage_smaller": (zip_of(asm.storage(count=3)), "claims 12 bytes; its record has 16"),
    "storage_dtype": (zip_of(asm.storage("DoubleStorage")), "claims 32 bytes; its record has 16"),
    "storage_twice": (zip_of(asm.tup(STORAGE, asm.storage("IntStorage"))), "in two ways"),
    "storage_huge": (zip_of(asm.storage(count=10**12)), "its record has 16"),
    "storage_beyond": (zip_of(asm.storage(count=2**63)), "values"),
    "bare_storage": (zip_of(STORAGE), "which is no weight"),
    "size_outside": (zip_of(asm.tensor(STORAGE, (5,))), "outside its storage"),
    "offset_outside": (zip_of(asm.tensor(STORAGE, (4,), offset=1)), "outside its storage"),
    "stride_outside": (zip_of(asm.tensor(STORAGE, (2, 2), (3, 1))), "outside its storage"),
    "stride_negative": (zip_of(asm.tensor(STORAGE, (4,), (-1,))), "-1 is not"),
    "offset_negative": (zip_of(asm.tensor(STORAGE, (1,), offset=-1)), "-1 is not"),
    "size_negative": (zip_of(asm.tensor(STORAGE, (-4,))), "-4 is not"),
    "strides_missing": (zip_of(asm.tensor(STORAGE, (2, 2), (1,))), "2 sizes and 1 strides"),
    "stride_overflow": (zip_of(asm.tensor(STORAGE, (2, 2), (2**47, 2**47))), "outside its storage"),
    "many_dimensions": (zip_of(asm.tensor(STORAGE, (1,) * 17, (1,) * 17)), "16 integers"),
    "tensor_of_text": (zip_of(asm.tensor(asm.text("x"))), "looks at 'x'"),
    "tensor_expanded": (zip_of(asm.tensor(STORAGE, (10**6, 10**6), (0, 0))), "past the"),
    "tensor_third_form": (
        zip_of(
            asm.call(
                asm.name("torch._utils", "_rebuild_tensor_v3"),
                asm.storage("ByteStorage", count=16),
                asm.integer(0),
                asm.tup(asm.integer(4)),
                asm.tup(asm.integer(1)),
                asm.FALSE,
                asm.EMPTY_DICT,
                asm.name("collections", "OrderedDict"),
            )
        ),
        "does not fit its storage",
    ),
    # the zip container
    "zip_cut": (honest()[:-200], "cut short"),
    "zip_head_only": (honest()[:100], "cut short"),
    "zip_damaged": (honest().replace(struct.pack("<f", 500.0), struct.pack("<f", 501.0)), "CRC"),
    "zip_without_pickle": (asm.torch_zip(None, s0=bytes(16)), "lacks the record data.pkl"),
    "zip_empty": (b"PK\x05\x06" + bytes(18), "do not lie in one folder"),
    "zip_two_folders": (with_central(zip_of(asm.NONE), b"archive/data/0", b"another/data/0"), "one folder"),
    "zip_name_differs": (
        with_central(zip_of(STORAGE), b"archive/data/0", b"archive/data/1"),
        "lacks the record data/0",
    ),
    "zip_path": (asm.torch_zip(state_of(asm.NONE), **{"../../../evil": b"x"}), "leads out"),
    "zip_absolute": (asm.torch_zip(state_of(asm.NONE), folder="/etc"), "leads out"),
    "zip_backslash": (asm.torch_zip(state_of(asm.NONE), **{"..\\evil": b"x"}), "leads out"),
    "zip_twice": (twice, "two records"),
    "zip_encrypted": (encrypted(), "encrypted"),
    "zip_bomb": (
        lambda: asm.torch_zip(state_of(asm.NONE), method=zipfile.ZIP_DEFLATED, s0=bytes(10**7)),
        "is compressed",
    ),
    "zip_lies": (lying_size(4 * 10**8), "claims bytes of another one, or more"),
    "zip_overlap": (overlapping(), "claims bytes of another one"),
    "zip_directory": (
        b"PK\x03\x04" + bytes(40) + b"PK\x05\x06" + bytes(8) + struct.pack("<II", 2**31, 0) + bytes(2),
        "list of records of 2147483648 bytes",
    ),
    "zip_64_lies": (
        b"PK\x03\x04" + bytes(40) + b"PK\x06\x07" + struct.pack("<IQI", 0, 2**60, 1) + b"PK\x05\x06" + bytes(18),
        "not where it claims",
    ),
    "zip_byte_order": (asm.torch_zip(state_of(STORAGE), s0=bytes(16), byteorder=b"middle"), "byte order"),
    "zip_disguised_npz": (npz(a=b"x"), "first bytes are wrong"),
    "npz_bomb": (
        lambda: npz(a=npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9000000,)}\n", bytes(72 * 10**6))),
        "claims 720000.. bytes, which takes",
        "a.npz",
    ),
    # PyTorch's old format
    "legacy_cut": (honest_legacy()[:-10], "cut short"),
    "legacy_more": (honest_legacy() + b"x", "1 bytes behind"),
    "legacy_magic_only": (honest_legacy()[:15], "cut short"),
    "legacy_protocol": (honest_legacy().replace(b"M\xe9\x03", b"M\xea\x03"), "protocol number"),
    "legacy_big_endian": (honest_legacy().replace(b"q\x02\x88X", b"q\x02\x89X"), "byte order"),
    "legacy_huge": (asm.legacy_file(asm.legacy_storage(count=10**11), ["0"]), "more than the file has left"),
    "legacy_unlisted": (asm.legacy_file(asm.dictionary(x=asm.legacy_storage()), [], (4, bytes(16))), "lists"),
    "legacy_unknown": (asm.legacy_file(asm.EMPTY_DICT, ["0"], (4, bytes(16))), "lists"),
    "legacy_count": (asm.legacy_file(asm.legacy_storage(), ["0"], (5, bytes(16))), "5 values where 4"),
    "legacy_two_ways": (
        asm.legacy_file(asm.tup(asm.legacy_storage(), asm.legacy_storage("IntStorage")), ["0"], (4, bytes(16))),
        "two ways",
    ),
    "legacy_modern_id": (asm.legacy_file(STORAGE, ["0"], (4, bytes(16))), "persistent id is not"),
    "nested_storage": (nested(3), "contains another one"),
    "storage_bytes_of_dict": (
        state_of(
            asm.call(asm.name("torch.storage", "_load_from_bytes"), asm.new_bytes(asm.legacy_file(asm.EMPTY_DICT, [])))
        ),
        "hold something else",
    ),
    # NumPy's arrays
    "array_objects": (state_of(array(kind="O8")), "list of as many objects"),
    "array_records": (state_of(array(kind="f8,f8")), "elements of type"),
    "array_empty_text": (state_of(array((2**40,), "S0", b"")), "elements of type"),
    "array_claim": (state_of(array((3,))), "claims 24 bytes of 16"),
    "array_huge": (state_of(array((2**40,))), "bytes of 16"),
    "array_negative": (state_of(array((-2,))), "-2 is not"),
    "array_state": (state_of(array(state=2)), "state that NumPy does not write"),
    "array_no_state": (
        state_of(
            asm.call(
                asm.name("numpy.core.multiarray", "_reconstruct"),
                asm.name("numpy", "ndarray"),
                asm.tup(asm.integer(0)),
                asm.NONE,
            )
        ),
        "never filled",
    ),
    "array_begun_large": (
        state_of(
            asm.call(
                asm.name("numpy.core.multiarray", "_reconstruct"),
                asm.name("numpy", "ndarray"),
                asm.tup(asm.integer(10**12)),
                asm.NONE,
            )
        ),
        "begun in a way",
    ),
    "npy_header_call": (npy("__import__('os').system('x')\n"), "header of the array cannot be read"),
    "npy_header_deep": (npy("(" * 9000), "header of the array cannot be read"),
    "npy_header_long": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31), "header of the array claims"),
    "npy_claim": (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,)}\n"), "claims 799999999992"),
    "npy_records": (npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': ()}\n"), "records"),
    "npy_objects": (npy("{'descr': '|O', 'fortran_order': False, 'shape': (3,)}\n", SYSTEM), "several pickled"),
    "npy_version": (b"\x93NUMPY\x09\x00" + bytes(20), "first bytes are wrong"),
    # stand-ins
    "sparse_huge": (state_of(sparse((2**40, 1), [1.0], [0], [0, 1])), "sparse matrix of shape.* claims"),
    "sparse_outside": (state_of(sparse((2, 1), [1.0], [2], [0, 1])), "outside its shape"),
    "sparse_starts": (state_of(sparse((2, 2), [1.0], [0], [0, 1])), "do not fit its shape"),
    "sparse_falling": (state_of(sparse((2, 2), [1.0], [0], [0, 2, 1])), "do not fit its values"),
    "sparse_empty": (state_of(asm.old_object("scipy.sparse.csc", "csc_matrix")), "sparse matrix"),
    "chumpy_empty": (state_of(asm.old_object("chumpy.ch", "Ch")), "chumpy"),
    "chumpy_text": (state_of(asm.old_object("chumpy.ch", "Ch", x=asm.text("x"))), "x of a chumpy array"),
    "chumpy_outside": (
        state_of(
            asm.old_object(
                "chumpy.reordering",
                "Select",
                a=asm.old_array(np.zeros(3), "<f8"),
                idxs=asm.old_array(np.array([3]), "<i8"),
            )
        ),
        "values that are not there",
    ),
    # safetensors
    "safetensors_short": (b"\x08\x00", "does not begin with a header", "a.safetensors"),
    "safetensors_huge_header": (safetensors(b"{}", length=2**60), "header claims", "a.safetensors"),
    "safetensors_not_json": (safetensors(b"{nonsense"), "safetensors file is damaged", "a.safetensors"),
    "safetensors_claim": (safetensors(entry(offsets=(0, 800)), bytes(8)), "damaged", "a.safetensors"),
    "safetensors_shape": (safetensors(entry(shape=(200000,)), bytes(8)), "damaged", "a.safetensors"),
    "safetensors_cut": (safetensors(entry(), bytes(4)), "damaged", "a.safetensors"),
    "safetensors_dtype": (safetensors(entry(dtype="OBJ"), bytes(8)), "damaged", "a.safetensors"),
    "safetensors_more": (safetensors(entry(), bytes(80)), "damaged", "a.safetensors"),
    "safetensors_unnamed": (safetensors(entry(offsets=(0, 800)), bytes(8)), "safetensors.*damaged"),
}
"""Like `hostile_files.CASES`: files that claim more, or other things, than they hold."""


def _repeated(count: int, callee: bytes, *args: bytes) -> bytes:
    """A list of the results of one call, made again and again."""
    return asm.pickled(callee, b"q\x00", asm.tup(*args), b"q\x01]", b"h\x00h\x01Ra" * count)


def _many_records() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"archive/{number}", b"")
    return buffer.getvalue()


_ONES = asm.tup(*[asm.integer(1)] * 16)
_TENSOR = (asm.storage(count=20), asm.integer(0), _ONES, _ONES, asm.FALSE, asm.NONE)
_PLACE = (b"}r" + struct.pack("<I", 4096 * index) for index in range(60_000))

COSTLY = {
    "sets": lambda: asm.pickled(b"](" + b"\x8f" * 400_000 + b"e"),
    "tensors": lambda: asm.torch_zip(
        _repeated(50_000, asm.name("torch._utils", "_rebuild_tensor_v2"), *_TENSOR), s0=bytes(80)
    ),
    "texts": lambda: _repeated(10_000, asm.name("_codecs", "encode"), asm.text("x" * 10**6), asm.text("latin1")),
    "dictionaries": lambda: _repeated(
        50_000, asm.name("collections", "OrderedDict"), asm.dictionary(**{f"k{i}": asm.NONE for i in range(1000)})
    ),
    "memo": lambda: asm.pickled(b"}", *_PLACE),
    "last_memo": lambda: asm.pickled(b"}r\xff\xff\xff\xff"),
    "byte_array": lambda: b"\x80\x05\x96" + struct.pack("<Q", 10**12) + b"x.",
    "bytes": lambda: b"\x80\x05\x8e" + struct.pack("<Q", 10**10) + b"x.",
    "frame": lambda: b"\x80\x05\x95" + struct.pack("<Q", 2**62) + b"}.",
    "line": lambda: b"(V" + b"x" * 50_000_000,
    "records": _many_records,
}
"""Files that would cost most, refused or not: each name → how to make it."""
