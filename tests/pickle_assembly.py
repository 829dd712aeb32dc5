"""Pickles and PyTorch containers put together by hand, for what Python 2 wrote and what no honest program writes."""

from __future__ import annotations

import io
import struct
import zipfile

PROTOCOL_2 = b"\x80\x02"
MARK, STOP, REDUCE, BUILD, APPEND = b"(", b".", b"R", b"b", b"a"
EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE, NONE, TRUE, FALSE = b"}", b"]", b")", b"N", b"\x88", b"\x89"


def name(module: str, attribute: str) -> bytes:
    """A global."""
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def old_bytes(value: bytes) -> bytes:
    """What Python 2 called str."""
    return b"T" + struct.pack("<i", len(value)) + value


def new_bytes(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def integer(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<i", len(data)) + data


def tup(*parts: bytes) -> bytes:
    return MARK + b"".join(parts) + b"t"


def dictionary(**items: bytes) -> bytes:
    return EMPTY_DICT + MARK + b"".join(text(key) + value for key, value in items.items()) + b"u"


def call(callee: bytes, *args: bytes) -> bytes:
    return callee + tup(*args) + REDUCE


def pickled(*parts: bytes) -> bytes:
    return PROTOCOL_2 + b"".join(parts) + STOP


def storage(kind: str = "FloatStorage", key: str = "0", count: int = 4) -> bytes:
    """A persistent id as `torch.save` writes it, looked up."""
    return tup(text("storage"), name("torch", kind), text(key), text("cpu"), integer(count)) + b"Q"


def tensor(source: bytes, size: tuple = (4,), stride: tuple = (1,), offset: int = 0) -> bytes:
    sizes, strides = (tup(*map(integer, values)) for values in (size, stride))
    hooks = call(name("collections", "OrderedDict"))
    return call(name("torch._utils", "_rebuild_tensor_v2"), source, integer(offset), sizes, strides, FALSE, hooks)


def torch_zip(data: bytes | None, folder: str = "archive", method: int = zipfile.ZIP_STORED, **records: bytes) -> bytes:
    """A container of `torch.save`; `records`: storages by "s" + key, others by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        if data is not None:
            archive.writestr(f"{folder}/data.pkl", data)
        for key, value in records.items():
            place = f"data/{key[1:]}" if key[0] == "s" and key[1:].isdigit() else key
            archive.writestr(f"{folder}/{place}", value)
    return buffer.getvalue()


def old_array(values, dtype: str) -> bytes:
    """A NumPy array as Python 2 pickled it."""
    data = values.astype(dtype)
    kind = call(name("numpy", "dtype"), old_bytes(dtype.strip("<>|").encode()), integer(0), integer(1))
    order = old_bytes(dtype[0].encode())
    ends = (integer(-1), integer(-1), integer(0))
    kind += tup(integer(3), order, NONE, NONE, NONE, *ends) + BUILD
    empty = call(
        name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), tup(integer(0)), old_bytes(b"b")
    )
    shape = tup(*map(integer, data.shape))
    fortran = data.flags.f_contiguous and not data.flags.c_contiguous
    content = old_bytes(data.tobytes("A"))
    return empty + tup(integer(1), shape, kind, TRUE if fortran else FALSE, content) + BUILD


def old_object(module: str, kind: str, **state: bytes) -> bytes:
    """An object with a state as Python 2 pickled it."""
    made = call(name("copy_reg", "_reconstructor"), name(module, kind), name("__builtin__", "object"), NONE)
    return made + dictionary(**state) + BUILD


def legacy_file(value: bytes, keys: list[str], *contents: tuple[int, bytes]) -> bytes:
    """A file of PyTorch's old format: the pickle of its value, its keys, and (count, bytes) of its storages."""
    magic = PROTOCOL_2 + b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    head = magic + PROTOCOL_2 + b"M\xe9\x03." + pickled(EMPTY_DICT, text("little_endian"), TRUE, b"s")
    listed = pickled(EMPTY_LIST, MARK, *map(text, keys), b"e")
    return head + pickled(value) + listed + b"".join(struct.pack("<q", count) + data for count, data in contents)


def legacy_storage(kind: str = "FloatStorage", key: str = "0", count: int = 4) -> bytes:
    return tup(text("storage"), name("torch", kind), text(key), text("cpu"), integer(count), NONE) + b"Q"
