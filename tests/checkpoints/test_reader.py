from __future__ import annotations

import argparse
import hashlib
import pickle
import sys
import types
from collections import OrderedDict

import numpy as np
import pickle_assembly as asm
import pytest
import torch
from safetensors.torch import save_file
from scipy import sparse

from mien.checkpoints.reader import read_foreign
from mien.errors import CheckpointError

BASE = torch.arange(24.0).reshape(4, 6)
DTYPES = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32"]
DTYPES += ["uint64", "bool", "complex64", "complex128"]


def _same(found, expected) -> bool:
    if isinstance(expected, torch.Tensor):
        return found.dtype == expected.dtype and found.shape == expected.shape and torch.equal(found, expected)
    if isinstance(expected, np.ndarray):
        return type(found) is np.ndarray and found.dtype == expected.dtype and np.array_equal(found, expected)
    if isinstance(expected, dict):
        return (
            type(found) is dict and list(found) == list(expected) and all(_same(found[k], expected[k]) for k in found)
        )
    if isinstance(expected, (list, tuple)):
        return type(found) is type(expected) and len(found) == len(expected) and all(map(_same, found, expected))
    return type(found) is type(expected) and found == expected


@pytest.fixture(scope="module")
def content() -> dict:
    """What checkpoints hold, and beside it what is read."""
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    written = {
        "state": network.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "step": 7,
        "size": torch.Size([3, 4]),
        "opts": argparse.Namespace(name="x", rate=0.1, nested={"a": [1, None]}),
        "pair": (True, "ü", b"\x80abc", 2**40),
        "array": np.arange(6, dtype=np.int32).reshape(2, 3).T,
        "scalar": np.float32(0.5),
        "options": {"betas": (0.0, 0.99), "tags": [1, 2]},
        "ordered": OrderedDict(z=1, a=2),
        "device": torch.device("cuda", 1),
        "type": torch.float16,
    }
    read = {**written, "state": dict(written["state"]), "parameter": torch.ones(2), "size": (3, 4)}
    read |= {"opts": vars(written["opts"]), "scalar": 0.5, "device": "cuda:1", "type": "torch.float16"}
    read |= {"ordered": {"z": 1, "a": 2}}
    return {"written": written, "read": read}


@pytest.mark.parametrize("modern", [True, False])
def test_what_torch_saves_is_read(content, modern, tmp_path):
    path = tmp_path / "a.pt"
    torch.save(content["written"], path, _use_new_zipfile_serialization=modern)
    foreign = read_foreign(path)
    assert _same(foreign.tree, content["read"])
    assert foreign.kind == ("torch" if modern else "torch-legacy")
    assert (foreign.size, foreign.name) == (path.stat().st_size, "a.pt")
    assert foreign.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_of_every_protocol_are_read(content, protocol, tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content["written"], protocol))
    foreign = read_foreign(path)
    assert foreign.kind == "pickle"
    assert _same(foreign.tree, content["read"])


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_element_type_is_read(dtype, modern, tmp_path):
    values = torch.tensor([[0, 1, 2], [3, 100, 0]]).to(getattr(torch, dtype))
    torch.save(
        {"x": values, "empty": values[:0], "one": values[1, 1]}, tmp_path / "a", _use_new_zipfile_serialization=modern
    )
    tree = read_foreign(tmp_path / "a").tree
    assert _same(tree, {"x": values, "empty": values[:0], "one": values[1, 1]})


@pytest.mark.parametrize("modern", [True, False])
def test_views_share_a_storage(modern, tmp_path):
    views = {"base": BASE, "turned": BASE.t(), "part": BASE[1:, ::2], "spread": BASE[0, :1].expand(5)}
    torch.save(views, tmp_path / "a.pt", _use_new_zipfile_serialization=modern)
    tree = read_foreign(tmp_path / "a.pt").tree
    assert _same(tree, views)
    assert {name: view.stride() for name, view in tree.items()} == {name: view.stride() for name, view in views.items()}
    assert len({view.untyped_storage().data_ptr() for view in tree.values()}) == 1


def test_tensors_can_be_changed_and_need_no_gradient(tmp_path):
    torch.save(torch.nn.Linear(2, 2).state_dict(keep_vars=True), tmp_path / "a.pt")
    tree = read_foreign(tmp_path / "a.pt").tree
    tree["weight"].zero_()
    assert not tree["weight"].requires_grad and type(tree["weight"]) is torch.Tensor


def test_the_other_byte_order_is_turned_around(tmp_path):
    values = np.arange(4, dtype=">f4")
    data = asm.pickled(asm.dictionary(x=asm.tensor(asm.storage())))
    (tmp_path / "a.pt").write_bytes(asm.torch_zip(data, s0=values.tobytes(), byteorder=b"big"))
    assert read_foreign(tmp_path / "a.pt").tree["x"].tolist() == [0, 1, 2, 3]
    values = np.array([1 + 2j, 3 - 4j], dtype=">c8")
    data = asm.pickled(asm.dictionary(x=asm.tensor(asm.storage("ComplexFloatStorage", count=2), (2,))))
    (tmp_path / "a.pt").write_bytes(asm.torch_zip(data, s0=values.tobytes(), byteorder=b"big"))
    assert read_foreign(tmp_path / "a.pt").tree["x"].tolist() == [1 + 2j, 3 - 4j]


def test_single_tensors_and_bare_state_dicts_are_read(tmp_path):
    torch.save(BASE, tmp_path / "a.pt")
    assert torch.equal(read_foreign(tmp_path / "a.pt").tree, BASE)


def _flame() -> tuple[bytes, dict[str, np.ndarray]]:
    """A pickle as Python 2 wrote FLAME's: text that is bytes, chumpy's arrays, SciPy's sparse matrix."""
    random = np.random.Generator(np.random.PCG64(0))
    dense = np.round(random.random((3, 7)) * (random.random((3, 7)) < 0.3), 3)
    columns = sparse.csc_matrix(dense)
    rows = sparse.csr_matrix(dense)
    values = {"v": random.random((5, 3)), "dirs": np.asfortranarray(random.random((5, 3, 4))), "big": np.arange(3.0)}
    empty = asm.EMPTY_DICT
    parts = {name: asm.old_array(getattr(columns, name), kind) for name, kind in
             (("data", "<f8"), ("indices", "<i4"), ("indptr", "<i4"))}  # fmt: skip
    row_parts = {name: asm.old_array(getattr(rows, name), kind) for name, kind in
                 (("data", "<f8"), ("indices", "<i4"), ("indptr", "<i4"))}  # fmt: skip
    dirty = asm.call(asm.name("__builtin__", "set"), asm.EMPTY_LIST)
    chumpy = asm.old_object("chumpy.ch", "Ch", x=asm.old_array(values["dirs"], "<f8"), _dirty_vars=dirty, _itr=asm.NONE)
    index = asm.old_array(np.array([4, 0, 0, 14]), "<i8")
    source = asm.old_object("chumpy.ch", "Ch", x=asm.old_array(values["v"], "<f8"))
    chosen = asm.old_object(
        "chumpy.reordering", "Select", a=source, idxs=index, preferred_shape=asm.tup(asm.integer(2), asm.integer(2))
    )
    shape = asm.tup(asm.integer(3), asm.integer(7))
    items = {
        b"f": asm.old_array(np.arange(6).reshape(2, 3), "<u4"),
        b"v_template": asm.old_array(values["v"], "<f8"),
        b"shapedirs": chumpy,
        b"chosen": chosen,
        b"big": asm.old_array(values["big"], ">f8"),
        b"J_regressor": asm.old_object(
            "scipy.sparse.csc", "csc_matrix", _shape=shape, format=asm.old_bytes(b"csc"), **parts
        ),
        b"by_rows": asm.old_object("scipy.sparse.csr", "csr_matrix", _shape=shape, **row_parts),
        b"bs_style": asm.old_bytes(b"lbs"),
        b"latin": asm.old_bytes("ü".encode("latin-1")),
    }
    data = asm.PROTOCOL_2 + empty + b"(" + b"".join(asm.old_bytes(k) + v for k, v in items.items()) + b"u."
    expected = {
        "f": np.arange(6, dtype=np.uint32).reshape(2, 3),
        "v_template": values["v"],
        "shapedirs": values["dirs"],
    }
    expected |= {"chosen": values["v"].reshape(-1)[[[4, 0], [0, 14]]], "big": values["big"]}
    return data, expected | {"J_regressor": dense, "by_rows": dense, "bs_style": "lbs", "latin": "ü"}


def test_pickles_of_python_2_with_chumpy_and_scipy_are_read(tmp_path):
    data, expected = _flame()
    (tmp_path / "generic_model.pkl").write_bytes(data)
    tree = read_foreign(tmp_path / "generic_model.pkl").tree
    assert "chumpy" not in sys.modules
    assert _same(tree, expected)
    by_library = pickle.loads(asm.pickled(asm.old_array(expected["shapedirs"], "<f8")), encoding="latin1")
    assert np.array_equal(tree["shapedirs"], by_library)


def test_protocol_0_of_python_2_is_read(tmp_path):
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\nt"
    array += b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x80\\n'\ntb"
    (tmp_path / "a.pkl").write_bytes(b"(dS'x'\n" + array + b"sS'y'\nL12L\nsS'z'\nF0.5\nsS'w'\nI01\ns.")
    tree = read_foreign(tmp_path / "a.pkl").tree
    assert tree["x"].tolist() == [128, 10]
    assert (tree["y"], tree["z"], tree["w"]) == (12, 0.5, True)


@pytest.mark.parametrize(
    "value", [b"", b"'", b'"', b"'\"\\", bytes(range(256))], ids=["empty", "one", "two", "both", "all"]
)
def test_texts_of_python_2_keep_their_bytes(value, tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"(dS'x'\nS" + repr(value)[1:].encode() + b"\ns.")
    assert read_foreign(tmp_path / "a.pkl").tree["x"] == value.decode("latin-1")


def test_sparse_matrices_of_today_are_read(tmp_path):
    matrix = sparse.random(6, 4, 0.4, "csc", rng=np.random.default_rng(1))
    for form in (matrix, matrix.tocsr()):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps({"m": form}, 4))
        assert np.array_equal(read_foreign(tmp_path / "a.pkl").tree["m"], matrix.toarray())


@pytest.fixture
def persistence(monkeypatch) -> type:
    """A module like those of NVIDIA's files, whose pickles carry the source text that would make it again."""
    easy = type("EasyDict", (dict,), {"__module__": "dnnlib.util", "__qualname__": "EasyDict"})
    library, package = types.ModuleType("dnnlib.util"), types.ModuleType("dnnlib")
    library.EasyDict = easy
    home, tools = types.ModuleType("torch_utils.persistence"), types.ModuleType("torch_utils")

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("never called")

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    home._reconstruct_persistent_obj = _reconstruct_persistent_obj
    for module in (library, package, home, tools):
        monkeypatch.setitem(sys.modules, module.__name__, module)

    class Persistent(torch.nn.Module):
        def __init__(self, *args, **kwargs):
            super().__init__()
            self._init_args, self._init_kwargs = args, easy(kwargs)
            self.resolution = kwargs.get("resolution", 8)
            self.weight = torch.nn.Parameter(torch.randn(2, 3))
            self.register_buffer("filter", torch.randn(4))
            self.register_buffer("scratch", torch.randn(4), persistent=False)
            self.register_parameter("absent", None)

        def __reduce__(self):
            source = "open('canary', 'w').write('x')"
            meta = {"type": "class", "version": 6, "module_src": source, "class_name": "Layer", "state": self.__dict__}
            return _reconstruct_persistent_obj, (meta,)

    return Persistent


@pytest.mark.parametrize("protocol", [2, 4])
def test_persistent_modules_give_weights_and_arguments(persistence, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = persistence(3, resolution=16, block_kwargs={"clamp": 256})
    network.mapping = persistence()
    network.blocks = torch.nn.ModuleList([persistence(), persistence(resolution=4)])
    network.blocks[1].weight = network.mapping.weight
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"G_ema": network, "training_set_kwargs": None}, protocol))
    part = read_foreign(tmp_path / "a.pkl").tree["G_ema"]
    assert _same(part["state_dict"], {key: value.detach() for key, value in network.state_dict().items()})
    assert part["class_name"] == "Layer"
    assert part["init_args"] == (3,)
    assert part["init_kwargs"] == {"resolution": 16, "block_kwargs": {"clamp": 256}}
    assert part["attributes"]["resolution"] == 16 and part["attributes"]["blocks.1.resolution"] == 4
    assert not (tmp_path / "canary").exists()


def test_numpy_files_are_read(tmp_path):
    embedding = {"static": np.arange(3), "dynamic": torch.arange(4).reshape(2, 2), "name": "x"}
    np.save(tmp_path / "a.npy", embedding, allow_pickle=True)
    foreign = read_foreign(tmp_path / "a.npy")
    assert foreign.kind == "npy" and _same(foreign.tree, embedding)
    matrix = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.save(tmp_path / "b.npy", matrix)
    assert _same(read_foreign(tmp_path / "b.npy").tree, matrix)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_numpy_archives_are_read(save, tmp_path):
    content = {"a": np.zeros((50, 40), np.float16), "b": np.array(["x", "yz"]), "c": np.array(3)}
    save(tmp_path / "a.npz", **content)
    foreign = read_foreign(tmp_path / "a.npz")
    assert foreign.kind == "npz" and _same(foreign.tree, content)


def test_safetensors_are_read(tmp_path):
    content = {"a": torch.randn(2, 3), "b": torch.arange(3, dtype=torch.int16)}
    save_file(content, tmp_path / "a.safetensors", metadata={"format": "pt"})
    foreign = read_foreign(tmp_path / "a.safetensors")
    assert foreign.kind == "safetensors" and _same(dict(sorted(foreign.tree.items())), content)


def test_objects_of_one_dimension_become_a_list(tmp_path):
    items = np.empty(2, object)
    items[0], items[1] = "x", np.arange(2)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"items": items}))
    assert _same(read_foreign(tmp_path / "a.pkl").tree["items"], ["x", np.arange(2)])


def test_a_value_that_is_reached_twice_is_one_value(tmp_path):
    shared = [1, 2]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": shared, "b": shared}))
    tree = read_foreign(tmp_path / "a.pkl").tree
    assert tree["a"] is tree["b"] and tree["a"] == [1, 2]


def test_shared_values_count_as_often_as_they_appear(tmp_path):
    shared = list(range(1000))
    for times, is_refused in ((400, False), (600, True)):
        path = tmp_path / f"{times}.pkl"
        path.write_bytes(pickle.dumps({"w": [shared] * times}))
        if is_refused:
            with pytest.raises(CheckpointError, match="when unfolded"):
                read_foreign(path)
        else:
            assert len(read_foreign(path).tree["w"]) == times
