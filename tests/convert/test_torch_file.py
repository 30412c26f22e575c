"""PyTorch files without PyTorch: exact numbers, and nothing is run or taken into memory that a file may ask for."""

import contextlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from albert_zh.convert import torch_pickle
from albert_zh.convert.torch_file import read_arrays
from albert_zh.files import InputError

FORMS = ["zip", "2019"]
KINDS = {
    "<f4": "FloatStorage",
    "<f8": "DoubleStorage",
    "<f2": "HalfStorage",
    "<i8": "LongStorage",
    "<i4": "IntStorage",
    "<i2": "ShortStorage",
    "|i1": "CharStorage",
    "|u1": "ByteStorage",
    "|b1": "BoolStorage",
}
MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}

# ------------------------------------------------------------------------------------------- files written by hand
# Opcodes as torch.save writes them: https://docs.python.org/3/library/pickletools.html


def text(value):
    raw = value.encode("utf-8")
    return b"X" + struct.pack("<I", len(raw)) + raw


def whole(value):
    return pickle.dumps(value, 2)[2:-1]


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def many(*parts):
    return b"(" + b"".join(parts) + b"t"


def mapping(items):
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def storage(kind, key, size):
    return many(text("storage"), named("torch", kind), text(key), text("cpu"), whole(size)) + b"Q"


def tensor(stored, offset, shape, strides):
    return (
        named("torch._utils", "_rebuild_tensor_v2")
        + many(stored, whole(offset), many(*map(whole, shape)), many(*map(whole, strides)))[:-1]
        + b"\x89"  # requires_grad: False
        + named("collections", "OrderedDict")
        + b")Rt"
        + b"R"
    )


def state_of(arrays):
    """(state dict as opcodes, storages) of contiguous arrays, each in a storage of its own."""
    items, storages = {}, {}
    for number, (name, array) in enumerate(arrays.items()):
        storages[str(number)] = array.tobytes(), array.itemsize
        kept = storage(KINDS[array.dtype.str], str(number), array.size)
        items[name] = tensor(kept, 0, array.shape, [stride // array.itemsize for stride in array.strides])
    return mapping(items), storages


def written(path, form, state, storages):
    """A file of ``torch.save``. ``storages``: key to (bytes, bytes a number has)."""
    state = b"\x80\x02" + state + b"."
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", state)
            archive.writestr("archive/byteorder", "little")
            for key, (raw, _) in storages.items():
                archive.writestr(f"archive/data/{key}", raw)
            archive.writestr("archive/version", "3\n")
    else:
        keys = sorted(storages)
        begin = b"".join(pickle.dumps(value, 2) for value in (MAGIC, 1001, SYSTEM))
        end = b"".join(struct.pack("<q", len(storages[k][0]) // storages[k][1]) + storages[k][0] for k in keys)
        path.write_bytes(begin + state + pickle.dumps(keys, 2) + end)
    return path


def one(path, form, offset, shape, strides, numbers, claimed=None, kind="FloatStorage", dtype="<f4"):
    """A file of one tensor "a" over these numbers."""
    raw = np.array(numbers, dtype)
    kept = storage(kind, "0", len(raw) if claimed is None else claimed)
    return written(
        path, form, mapping({"a": tensor(kept, offset, shape, strides)}), {"0": (raw.tobytes(), raw.itemsize)}
    )


SMALL = {"word": np.arange(12, dtype="<f4").reshape(3, 4), "bias": np.array([7, -8], "<i8")}


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


# ----------------------------------------------------------------------------------------------------------- exactness


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model_2019.bin"])
def test_both_forms_of_torch_save_hold_the_bytes_of_the_safetensors_file(name, golden):
    expected = safetensors.numpy.load_file(golden / "huggingface" / "model.safetensors")
    arrays = read_arrays(golden / "huggingface" / name)
    # What safetensors leaves out: second names of the same storage.
    expected["predictions.decoder.weight"] = expected["albert.embeddings.word_embeddings.weight"]
    expected["predictions.decoder.bias"] = expected["predictions.bias"]
    assert set(arrays) == set(expected)
    for key, array in expected.items():
        assert arrays[key].dtype == array.dtype
        assert arrays[key].tobytes() == array.tobytes(), key


def test_arrays_keep_their_type_and_every_bit(form, tmp_path):
    dice = np.random.default_rng(0)
    arrays = {
        kind: np.frombuffer(dice.bytes(24), dtype) if dtype != "|b1" else np.array([True, False])
        for dtype, kind in KINDS.items()
    }
    read = read_arrays(written(tmp_path / "m.bin", form, *state_of(arrays)))
    assert {name: array.dtype for name, array in read.items()} == {n: a.dtype for n, a in arrays.items()}
    assert {name: array.tobytes() for name, array in read.items()} == {n: a.tobytes() for n, a in arrays.items()}


def test_bfloat16_is_the_upper_half_of_float32(form, tmp_path):
    values = np.array([1.0, -2.5, 3.0e38, 0.0], np.float32)
    half = (values.view(np.uint32) >> 16).astype("<u2")
    path = one(tmp_path / "m.bin", form, 0, [4], [1], half, kind="BFloat16Storage", dtype="<u2")
    read = read_arrays(path)["a"]
    assert read.dtype.name == "bfloat16"
    np.testing.assert_array_equal(read.astype(np.float32), (half.astype(np.uint32) << 16).view(np.float32))
    assert read.astype(np.float32).tolist()[:2] == [1.0, -2.5]


SIZES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=3)


@given(length=st.integers(0, 12), offset=st.integers(0, 12), layout=SIZES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.parametrize("form", FORMS)
def test_a_view_holds_the_numbers_its_offset_and_strides_say_or_is_refused(form, tmp_path, length, offset, layout):
    shape, strides = [n for n, _ in layout], [s for _, s in layout]
    path = one(tmp_path / "m.bin", form, offset, shape, strides, range(length))
    places = {i: offset + sum(n * s for n, s in zip(i, strides, strict=True)) for i in np.ndindex(*shape)}
    if all(place < length for place in places.values()) and 4 * len(places) <= path.stat().st_size:
        array = read_arrays(path)["a"]
        assert array.shape == tuple(shape)
        assert {index: int(array[index]) for index in places} == places
    else:
        with pytest.raises(InputError, match=r"outside its storage|longer than the file"):
            read_arrays(path)


def test_views_of_one_storage_transposed_expanded_and_without_dimensions(form, tmp_path):
    kept = storage("FloatStorage", "0", 6)
    views = {
        "whole": ([0, [2, 3], [3, 1]], [[0, 1, 2], [3, 4, 5]]),
        "transposed": ([0, [3, 2], [1, 3]], [[0, 3], [1, 4], [2, 5]]),
        "expanded": ([1, [2, 2], [0, 3]], [[1, 4], [1, 4]]),
        "scalar": ([5, [], []], 5),
        "nothing": ([6, [0, 2], [2, 1]], []),
        "one row": ([3, [1, 3], [1 << 70, 1]], [[3, 4, 5]]),  # the stride of a single row is never walked
    }
    state = mapping({name: tensor(kept, *view) for name, (view, _) in views.items()})
    read = read_arrays(written(tmp_path / "m.bin", form, state, {"0": (np.arange(6, dtype="<f4").tobytes(), 4)}))
    assert {name: array.tolist() for name, array in read.items()} == {name: value for name, (_, value) in views.items()}
    assert read["nothing"].shape == (0, 2)
    assert not any(array.flags.writeable for name, array in read.items() if name != "nothing")


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "said"),
    [
        (0, [7], [1], "outside its storage"),
        (1, [6], [1], "outside its storage"),
        (7, [], [], "outside its storage"),
        (0, [2, 3], [4, 1], "outside its storage"),
        (-1, [2], [1], "negative"),
        (5, [3], [-1], "negative"),
        (0, [-2], [1], "negative"),
        (0, [1 << 70], [0], "longer than the file"),
        (0, [1 << 40, 1 << 40], [0, 0], "longer than the file"),
        (1 << 70, [2], [1], "outside its storage"),
        (0, [2], [1 << 70], "outside its storage"),
        (0, [2, 3], [1], "2 dimensions with 1 strides"),
        (0, [1] * 99, [1] * 99, "99 dimensions"),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(offset, shape, strides, said, form, tmp_path):
    with pytest.raises(InputError, match=f"m.bin: not the weights of a PyTorch model, or damaged .*{said}"):
        read_arrays(one(tmp_path / "m.bin", form, offset, shape, strides, range(6)))


@pytest.mark.parametrize("claimed", [0, 5, 7, -1, 1 << 40, 1 << 70])
def test_a_storage_of_another_size_than_the_file_s_is_refused(claimed, form, tmp_path):
    with pytest.raises(InputError, match=r"two sizes or types|other sizes than it says"):
        read_arrays(one(tmp_path / "m.bin", form, 0, [2], [1], range(6), claimed=claimed))


def test_a_storage_of_two_types_is_refused(form, tmp_path):
    state = mapping(
        {kind: tensor(storage(kind, "0", 2), 0, [2], [1]) for kind in ("LongStorage", "DoubleStorage")},
    )
    with pytest.raises(InputError, match="storage 0 has two sizes or types"):
        read_arrays(written(tmp_path / "m.bin", form, state, {"0": (bytes(16), 8)}))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_torch_save_can_be_asked_for_is_read(protocol, tmp_path, monkeypatch):
    # Written by Python's own pickler, with modules of these names for the time of writing.
    torch = type(sys)("torch")
    torch._utils = type(sys)("torch._utils")
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", torch._utils)

    def _rebuild_tensor_v2(*_):
        raise AssertionError("called")

    class FloatStorage:
        __module__ = "torch"

    FloatStorage.__qualname__, _rebuild_tensor_v2.__qualname__ = "FloatStorage", "_rebuild_tensor_v2"
    _rebuild_tensor_v2.__module__ = "torch._utils"
    torch.FloatStorage, torch._utils._rebuild_tensor_v2 = FloatStorage, _rebuild_tensor_v2

    class Stored:
        pass

    class View:
        def __reduce__(self):
            return _rebuild_tensor_v2, (Stored(), 0, (3, 4), (4, 1), False, {})

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", FloatStorage, "0", "cpu", 12) if isinstance(value, Stored) else None

    stream = io.BytesIO()
    Pickler(stream, protocol).dump({f"layer {n}": View() for n in range(300)} | {"epoch": 3, "loss": 0.5})
    with zipfile.ZipFile(tmp_path / "m.bin", "w") as archive:
        archive.writestr("m/data.pkl", stream.getvalue())
        archive.writestr("m/data/0", SMALL["word"].tobytes())
    read = read_arrays(tmp_path / "m.bin")
    assert len(read) == 300
    assert all(np.array_equal(array, SMALL["word"]) for array in read.values())


def test_text_and_dicts_as_python_2_wrote_them_are_read(form, tmp_path):
    # Its str is SHORT_BINSTRING, its OrderedDict is made of a list of [key, value].
    state, storages = state_of(SMALL)
    views = state[2:-1].split(b"X\x04\x00\x00\x00word")[1].split(b"X\x04\x00\x00\x00bias")
    pairs = b"".join(b"](U\x04" + name + view + b"e" for name, view in zip((b"word", b"bias"), views, strict=True))
    state = named("collections", "OrderedDict") + b"](" + pairs + b"e\x85R"
    read = read_arrays(written(tmp_path / "m.bin", form, state, storages))
    assert {name: array.tolist() for name, array in read.items()} == {n: a.tolist() for n, a in SMALL.items()}


def test_the_state_dict_of_a_training_checkpoint_is_found_and_other_values_are_left(form, tmp_path):
    state, storages = state_of(SMALL)
    optimizer = b"}(" + whole(0) + mapping({"step": whole(9)}) + b"u"
    # A state dict carries the versions of its modules as an attribute.
    state = named("collections", "OrderedDict") + b")R" + state[1:] + mapping({"_metadata": b"}"}) + b"b"
    outer = mapping({"epoch": whole(3), "state_dict": state, "optimizer": optimizer})
    read = read_arrays(written(tmp_path / "m.bin", form, outer, storages))
    assert {name: array.tolist() for name, array in read.items()} == {n: a.tolist() for n, a in SMALL.items()}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (b"](K\x01K\x02e", "it holds a list, not a state dict"),
        (b"N", "it holds a NoneType, not a state dict"),
        (mapping({"epoch": b"K\x01", "model": b"}"}), r"it holds no tensors, but 'epoch', 'model'"),
        (b"}", "it holds no tensors, but nothing"),
        (mapping({"state_dict": b"}"}), "it holds no tensors, but nothing"),
    ],
)
def test_what_is_no_state_dict_is_told_with_what_it_holds(state, said, form, tmp_path):
    with pytest.raises(InputError, match=said):
        read_arrays(written(tmp_path / "m.bin", form, state, {}))


def test_numbered_tensors_are_refused(form, tmp_path):
    state = b"}" + whole(1) + tensor(storage("FloatStorage", "0", 1), 0, [1], [1]) + b"s"
    with pytest.raises(InputError, match="numbers its tensors instead of naming them"):
        read_arrays(written(tmp_path / "m.bin", form, state, {"0": (bytes(4), 4)}))


# ------------------------------------------------------------------------------------------------------- hostile files


class Runs:
    """Pickled, it is a call of ``function(*arguments)``."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def system(module=b"os", name=b"system"):
    return b"c" + module + b"\n" + name + b"\n"


def live(marker):
    """Name to (pickle that makes the marker file under Python's own machine, what its error must name)."""
    command = f"touch {marker}"
    said = text(command)
    by_class = {
        f"a class with __reduce__, protocol {protocol}": (pickle.dumps(Runs(os.system, command), protocol), "system")
        for protocol in (2, 3, 4, 5)
    }
    bodies = {
        "GLOBAL and REDUCE": (system() + said + b"\x85R", "os.system"),
        "eval": (system(b"builtins", b"eval") + text(f"open({str(marker)!r}, 'w')") + b"\x85R", "builtins.eval"),
        "exec of Python 2": (
            system(b"__builtin__", b"eval") + text(f"open({str(marker)!r}, 'w')") + b"\x85R",
            "__builtin__.eval",
        ),
        "getattr": (
            system(b"__builtin__", b"getattr")
            + many(system(b"importlib", b"import_module") + text("os") + b"\x85R", text("system"))
            + b"R"
            + said
            + b"\x85R",
            "__builtin__.getattr",
        ),
        "subprocess": (
            system(b"subprocess", b"check_call") + b"](" + text("touch") + text(str(marker)) + b"e\x85R",
            "subprocess.check_call",
        ),
        "INST": (b"(" + said + b"ios\nsystem\n", "os.system"),
        "OBJ": (b"(" + system(b"subprocess", b"Popen") + b"](" + text("touch") + text(str(marker)) + b"eo", "Popen"),
        "STACK_GLOBAL": (text("os") + text("system") + b"\x93" + said + b"\x85R", "os.system"),
        "STACK_GLOBAL out of the memo": (
            b"("
            + text("system")
            + b"q\x07"
            + text("os")
            + b"r\xff\xff\x00\x00"
            + b"1"
            + b"j\xff\xff\x00\x00h\x07\x93"
            + said
            + b"\x85R",
            None,  # POP_MARK, which torch.save does not write, ends it before
        ),
        "STACK_GLOBAL out of the memo, plainly": (
            many(text("system") + b"q\x07", text("os") + b"q\x08") + b"h\x08h\x07\x93" + said + b"\x85R",
            "os.system",
        ),
        "a value of the state dict": (mapping({"a": b"K\x01", "b": system() + said + b"\x85R"}), "os.system"),
        "deep in the values": (mapping({"a": mapping({"b": b"](K\x01" + system() + said + b"\x85Re"})}), "os.system"),
        "a key": (b"}" + system() + said + b"\x85RK\x01s", "os.system"),
        "the state of a dict": (
            named("collections", "OrderedDict") + b")R" + mapping({"_metadata": system() + said + b"\x85R"}) + b"b",
            "os.system",
        ),
        "the pairs of a dict": (
            named("collections", "OrderedDict") + b"](](" + system() + said + b"\x85RK\x01ee\x85R",
            "os.system",
        ),
        "a name with dots": (text("os") + text("path.os.system") + b"\x93" + said + b"\x85R", "os.path.os.system"),
    }
    # Protocol 2 finds __builtin__ too, protocol 4 names with dots.
    return by_class | {
        key: ((b"\x80\x04" if b"\x93" in body else b"\x80\x02") + body + b".", name)
        for key, (body, name) in bodies.items()
    }


LIVE = sorted(live("x"))


@pytest.mark.parametrize("attack", LIVE)
def test_these_attacks_work_on_python_s_own_machine(attack, tmp_path):
    marker = tmp_path / "marker"
    with contextlib.suppress(TypeError):  # what the call gives back may not fit what is made of it then
        pickle.loads(live(marker)[attack][0])
    for _ in range(100):  # Popen does not wait
        if marker.exists():
            return
        subprocess.run(["sleep", "0.05"], check=True)
    raise AssertionError(f"{attack}: nothing was run, so its refusal would prove nothing")


@pytest.mark.parametrize("attack", LIVE)
def test_an_attack_is_refused_by_name_and_nothing_is_run(attack, form, tmp_path):
    marker = tmp_path / "marker"
    body, name = live(marker)[attack]
    path = tmp_path / "m.bin"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", body)
    else:
        path.write_bytes(b"".join(pickle.dumps(value, 2) for value in (MAGIC, 1001, SYSTEM)) + body)
    said = rf"asks for (\w|\.)*{name}, which no weights need" if name else "opcode b'1', which no weights need"
    with pytest.raises(InputError, match=said + r"\). Nothing of it was run. Ask for model.safetensors"):
        read_arrays(path)
    assert not marker.exists()


@pytest.mark.parametrize("place", range(5))
def test_each_of_the_pickles_of_the_2019_form_is_guarded(place, tmp_path):
    marker = tmp_path / "marker"
    state, storages = state_of(SMALL)
    pickles = [pickle.dumps(v, 2) for v in (MAGIC, 1001, SYSTEM)] + [b"\x80\x02" + state + b".", pickle.dumps(["0"], 2)]
    pickles[place] = pickle.dumps(Runs(os.system, f"touch {marker}"), 2)
    (tmp_path / "m.bin").write_bytes(b"".join(pickles) + struct.pack("<q", 12) + storages["0"][0])
    with pytest.raises(InputError, match=r"asks for \w+.system, which no weights need"):
        read_arrays(tmp_path / "m.bin")
    assert not marker.exists()


@pytest.mark.parametrize(
    "name",
    [
        ("torch", "load"),
        ("torch.serialization", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch.hub", "load"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch", "FloatStorage.__init__"),
        ("torch._utils._rebuild_tensor_v2", "__call__"),
        ("collections", "OrderedDict.__reduce__"),
        ("collections", "OrderedDict.update"),
        ("collections", "os.system"),
        ("albert_zh.convert.torch_file", "os.system"),
        ("albert_zh.files", "shutil.rmtree"),
        ("numpy", "load"),
        ("__builtin__", "getattr"),
        ("copyreg", "_reconstructor"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("by", ["GLOBAL", "STACK_GLOBAL"])
def test_a_name_that_only_looks_like_one_of_torch_s_is_refused(name, by, form, tmp_path):
    body = named(*name) if by == "GLOBAL" else text(name[0]) + text(name[1]) + b"\x93"
    with pytest.raises(InputError) as caught:
        read_arrays(written(tmp_path / "m.bin", form, mapping({"a": body + b")R"}), {}))
    assert f"it asks for {'.'.join(name)}, which no weights need" in str(caught.value)


def test_a_name_is_told_without_its_control_characters_and_not_at_any_length(tmp_path):
    state = b"c" + b"\x1b[2J" + b"a" * 9999 + b"\n\r\x07\n"
    with pytest.raises(InputError) as caught:
        read_arrays(written(tmp_path / "m.bin", "zip", state, {}))
    assert "it asks for ?[2Jaaaa" in str(caught.value)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


FLOATS = named("torch", "FloatStorage")
REBUILD = named("torch._utils", "_rebuild_tensor_v2")
TENSOR = tensor(storage("FloatStorage", "0", 2), 0, [2], [1])


@pytest.mark.parametrize(
    "abuse",
    {
        "the state of a storage type": FLOATS + mapping({"dtype": text("<f8")}) + b"b",
        "the state of a function": REBUILD + many(b"N", mapping({"__defaults__": b")", "__name__": text("x")})) + b"b",
        "the state of a storage": storage("FloatStorage", "0", 2) + mapping({"size": whole(99)}) + b"b",
        "the state of a tensor": TENSOR + mapping({"offset": whole(-1), "shape": b"("}).replace(b"((", b"()") + b"b",
        "the state of the class of dicts": named("collections", "OrderedDict") + mapping({"x": b"K\x01"}) + b"b",
        "an item of a tuple": b")K\x00K\x01s",
        "an item of a list": b"]K\x00K\x01s",
        "an item of a tensor": TENSOR + b"K\x00K\x01s",
        "appended to a dict": b"}K\x00a",
        "appended to a tensor": TENSOR + b"(K\x00e",
        "a call of text": text("os.system") + b")R",
        "a call of a number": b"K\x05)R",
        "a call of a storage type": FLOATS + b")R",
        "a call of a storage": storage("FloatStorage", "0", 2) + b")R",
        "a call of a tensor": TENSOR + b")R",
        "a call with a dict": named("collections", "OrderedDict") + b"}R",
        "a dict of a number": named("collections", "OrderedDict") + b"K\x05\x85R",
        "a dict of text": named("collections", "OrderedDict") + text("ab") + b"\x85R",
        "a dict with a tuple for a key": named("collections", "OrderedDict") + b"](](" + b")K\x01" + b"ee\x85R",
        "a parameter of nothing": named("torch._utils", "_rebuild_parameter") + b")R",
        "a parameter of a number": named("torch._utils", "_rebuild_parameter") + b"K\x05\x85R",
        "a tensor of nothing": REBUILD + b")R",
        "a tensor over a number": REBUILD + many(b"K\x01", b"K\x00", b")", b")") + b"R",
        "a tensor with text for a size": REBUILD
        + many(storage("FloatStorage", "0", 2), b"K\x00", text("a") + b"\x85", text("b") + b"\x85")
        + b"R",
        "a tensor with a truth for a size": REBUILD
        + many(storage("FloatStorage", "0", 2), b"K\x00", b"\x88\x85", b"\x88\x85")
        + b"R",
        "a tensor in a list": REBUILD + many(storage("FloatStorage", "0", 2), b"K\x00", b"]", b"]") + b"R",
        "a tensor stored negated": TENSOR[:-2] + b"}" + text("neg") + b"\x88stR",
        "a reference by number": b"K\x05Q",
        "a reference to a module": many(text("module"), FLOATS, text("a.py"), text("import os")) + b"Q",
        "a reference by text": many(text("storage"), text("FloatStorage"), text("0"), text("cpu"), b"K\x02") + b"Q",
        "a storage with a path": tensor(storage("FloatStorage", "../../data.pkl", 2), 0, [2], [1]),
        "a storage with a number for a key": many(text("storage"), FLOATS, b"K\x00", text("cpu"), b"K\x02") + b"Q",
        "a storage that is a view": many(
            text("storage"), FLOATS, text("0"), text("cpu"), b"K\x02", many(text("1"), b"K\x00")
        )
        + b"Q",
        "a key that is a tuple": b"})K\x01s",
        "a key that is a tensor": b"}" + TENSOR + b"K\x01s",
        "a key whose hash others share": b"}" + whole((1 << 61) - 1) + b"K\x01s",
        "a key without a value": b"}(K\x01u",
        "something taken off the stack": b"N0",
        "a mark that is not there": b"t",
        "a memo that is not there": b"h\x05",
        "an extension": b"\x82\x01",
        "a set": b"\x8f",
        "an object of a class": named("collections", "OrderedDict") + b")\x81",
        "a buffer out of band": b"\x97",
        "text that is not UTF-8": b"X\x01\x00\x00\x00\xff",
        "a name that is not UTF-8": b"c\xff\n\xff\n",
        "a name of numbers": b"K\x01K\x02\x93",
    }.items(),
    ids=lambda item: item[0],
)
def test_what_state_dicts_do_not_do_is_refused_and_changes_nothing_for_the_next_file(abuse, form, tmp_path):
    state = mapping({"a": TENSOR, "b": abuse[1]})
    with pytest.raises(InputError, match="not the weights of a PyTorch model, or damaged"):
        read_arrays(written(tmp_path / "m.bin", form, state, {"0": (bytes(8), 4)}))
    read = read_arrays(one(tmp_path / "next.bin", form, 0, [2], [1], [1.5, -2.5]))
    assert (read["a"].tolist(), read["a"].dtype) == ([1.5, -2.5], np.float32)


def test_a_whole_model_is_refused_with_the_class_it_asks_for_and_what_to_save(tmp_path):
    module = named("transformers.models.albert.modeling_albert", "AlbertModel")
    reference = many(text("module"), module, text("modeling_albert.py"), text("class AlbertModel: ...")) + b"Q"
    for form, state in (("zip", module + b")\x81}b"), ("2019", reference + b")\x81}b")):
        with pytest.raises(InputError) as caught:
            read_arrays(written(tmp_path / "m.bin", form, state, {}))
        assert "asks for transformers.models.albert.modeling_albert.AlbertModel" in str(caught.value)
        assert "write the file again with torch.save(model.state_dict(), ...)" in str(caught.value)


# ------------------------------------------------------------------------------------------------------------ bombs


def overlapping_members(count, length):
    """A zip in which each member's data runs on over the headers of all that follow: count * length out of length."""
    names = [f"archive/data/{n}".encode() for n in range(count)]
    heads = [30 + len(name) for name in names]
    body, local = bytes(length), []
    for name in reversed(names):
        header = struct.pack(
            "<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, zlib.crc32(body), len(body), len(body), len(name), 0
        )
        local.append((zlib.crc32(body), len(body)))
        body = header + name + body
    state = b"\x80\x02" + mapping(
        {
            name.decode(): tensor(storage("ByteStorage", str(n), size), 0, [1], [1])
            for n, (name, (_, size)) in enumerate(zip(names, reversed(local), strict=True))
        }
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", state + b".")
    first = stream.getvalue()
    end = first.index(b"PK\1\2")
    directory, place = first[end : first.index(b"PK\5\6")], end
    for name, head, (crc, size) in zip(names, heads, reversed(local), strict=True):
        directory += struct.pack(
            "<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, 0, 0, 0, 0, 33, crc, size, size, len(name), 0, 0, 0, 0, 0, place
        )
        directory += name
        place += head
    begin = len(first[:end] + body)
    return (
        first[:end]
        + body
        + directory
        + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count + 1, count + 1, len(directory), begin, 0)
    )


def bombs():
    """Name to the bytes of a file that makes a trusting reader take memory, time or the stack."""
    eight = struct.pack("<Q", 1 << 40)
    pairs = b"](" + b"]K\x00aK\x00a" * 100_000 + b"e"
    short = {
        "memo 4294967295": b"Nr\xff\xff\xff\xff",
        "memo 100000000": b"Nr" + struct.pack("<I", 100_000_000),
        "text of a terabyte": b"\x8d" + eight,
        "bytes of a terabyte": b"\x8e" + eight,
        "bytearray of a terabyte": b"\x96" + eight,
        "text of four gigabytes": b"X\xff\xff\xff\xff",
        "bytes of four gigabytes": b"T\xff\xff\xff\xff",
        "number of two gigabytes": b"\x8b\xff\xff\xff\x7f",
        "frame of a terabyte": b"\x95" + eight,
    }
    long = {
        "tuple in a tuple in a … for a key": b"})" + b"\x85" * 500_000 + b"K\x01s",
        "tuple in a tuple in a … for a key in a list": named("collections", "OrderedDict")
        + b"]]("
        + b")"
        + b"\x85" * 500_000
        + b"K\x01ea\x85R",
        "tuple in a tuple in a … for a value": b"}" + text("a") + b")" + b"\x85" * 500_000 + b"s",
        "list in a list in a …": b"]" * 500_000 + b"a" * 499_999,
        "as many dicts as a pickle can hold": b"}" * (torch_pickle.MAX_PICKLE - 200),
        "one list copied into many dicts": named("collections", "OrderedDict")
        + b"q\x00"
        + pairs
        + b"\x85q\x01R"
        + b"h\x00h\x01R" * 100_000,
        "one shape in many tensors": many(*[b"K\x01"] * 200_000)
        + b"q\x00"
        + REBUILD
        + b"q\x01"
        + storage("FloatStorage", "0", 1)
        + b"q\x02"
        + b"h\x01(h\x02K\x00h\x00h\x00tR" * 100_000,
        "a tensor that repeats one number": mapping(
            {"a": tensor(storage("FloatStorage", "0", 1), 0, [1 << 20, 1 << 14], [0, 0])}
        ),
    }
    begin = b"".join(pickle.dumps(value, 2) for value in (MAGIC, 1001, SYSTEM))
    files = {}
    for name, body in (short | long).items():
        state = b"\x80\x04" + body + b"."
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("archive/data.pkl", state)
            archive.writestr("archive/data/0", bytes(4))
        files[f"zip: {name}"] = stream.getvalue()
        if name in short:
            files[f"2019: {name}"] = begin + state + pickle.dumps(["0"], 2) + struct.pack("<q", 1) + bytes(4)
            files[f"2019, at once: {name}"] = state
    dicts = b"\x80\x02" + b"}" * 20_000_000
    files["2019: more dicts than a pickle can hold"] = begin + dicts
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", dicts)
    files["zip: more dicts than a pickle can hold"] = stream.getvalue()
    for size in (1 << 31, 1 << 40, (1 << 62) - 1):
        state = b"\x80\x02" + mapping({"a": tensor(storage("FloatStorage", "0", size), 0, [1], [1])}) + b"."
        files[f"2019: storage of {size}"] = begin + state + pickle.dumps(["0"], 2) + struct.pack("<Q", size) + bytes(4)
    large = bytes(700 << 20)
    state = mapping({"a": tensor(storage("FloatStorage", "0", len(large) // 4), 0, [1], [1])})
    for name, content in (("data.pkl", large), ("data/0", large)):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(f"archive/{name}", content)
            if name != "data.pkl":
                archive.writestr("archive/data.pkl", b"\x80\x02" + state + b".", zipfile.ZIP_STORED)
        files[f"zip: compressed {name}"] = stream.getvalue()
    files["zip: overlapping members"] = overlapping_members(1500, 500_000)
    return files


READ = """
import json, pathlib, resource, sys, time
from albert_zh.convert.torch_file import read_arrays
from albert_zh.files import InputError
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
most = now + 600 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
said = {}
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    print(path.name, file=sys.stderr, flush=True)
    start = time.process_time()
    try:
        read_arrays(path)
        error = ""
    except InputError as refused:
        error = str(refused)
    said[path.name] = error, time.process_time() - start
json.dump(said, sys.stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process as Linux does")
def test_no_file_makes_the_reader_take_much_memory_or_time_or_end(tmp_path):
    # In 600 MB, twice what the longest pickle allowed can come to; a trusting reader takes gigabytes, or ends.
    names = {}
    for number, (name, content) in enumerate(bombs().items()):
        (tmp_path / f"{number:03}.bin").write_bytes(content)
        names[f"{number:03}.bin"] = name
    done = subprocess.run([sys.executable, "-c", READ, tmp_path], capture_output=True, text=True, timeout=300)
    begun = [line for line in done.stderr.splitlines() if line in names]
    assert done.returncode == 0, f"{names[begun[-1]] if begun else ''}: {done.returncode}: {done.stderr[-500:]}"
    for file, (error, seconds) in json.loads(done.stdout).items():
        assert "not the weights of a PyTorch model, or damaged" in error, names[file]
        assert len(error) < 600, names[file]
        assert seconds < 20, (names[file], seconds)


def test_a_zip_s_overlapping_members_are_whole_by_themselves(tmp_path):
    # Or the refusal above would be that of a damaged zip.
    (tmp_path / "m.bin").write_bytes(overlapping_members(3, 50))
    with zipfile.ZipFile(tmp_path / "m.bin") as archive:
        sizes = [info.file_size for info in archive.infolist() if "/data/" in info.filename]
        assert sizes == [50 + 2 * 44, 50 + 44, 50]
    (tmp_path / "m.bin").write_bytes(overlapping_members(100, 5000))
    with pytest.raises(InputError, match=r"longer than it can be|Overlapped entries"):
        read_arrays(tmp_path / "m.bin")


# ----------------------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model_2019.bin"])
def test_a_file_cut_anywhere_is_refused(name, golden, tmp_path):
    content = (golden / "huggingface" / name).read_bytes()
    places = {
        0,
        1,
        3,
        4,
        5,
        len(content) - 1,
        *range(0, len(content), 1999),
        *range(len(content) - 200, len(content), 7),
    }
    for kept in sorted(places):
        (tmp_path / "m.bin").write_bytes(content[:kept])
        with pytest.raises(InputError, match=r"not the weights of a PyTorch model, or damaged .*Nothing of it was run"):
            read_arrays(tmp_path / "m.bin")


def test_a_small_file_cut_at_any_byte_is_refused(form, tmp_path):
    content = written(tmp_path / "m.bin", form, *state_of(SMALL)).read_bytes()
    for kept in range(len(content)):
        (tmp_path / "m.bin").write_bytes(content[:kept])
        with pytest.raises(InputError):
            read_arrays(tmp_path / "m.bin")


def read_or_refused(path):
    """Damage may go unseen (a 2019 file has no checksum), but then what is read is arrays within the file's size."""
    try:
        arrays = read_arrays(path)
    except InputError:
        return
    assert arrays
    for name, array in arrays.items():
        assert isinstance(name, str)
        assert isinstance(array, np.ndarray)
        assert array.nbytes <= path.stat().st_size
        array.astype(np.float32)


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_changed_bytes_give_arrays_or_a_refusal(form, data, tmp_path):
    path = tmp_path / "m.bin"
    content = bytearray(written(path, form, *state_of(SMALL)).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with np.errstate(all="ignore"):
        read_or_refused(path)


@pytest.mark.parametrize("form", FORMS)
def test_any_one_bit_of_a_file_s_frame_changed_gives_arrays_or_a_refusal(form, tmp_path):
    path = tmp_path / "m.bin"
    content = written(path, form, *state_of(SMALL)).read_bytes()
    for place in range(len(content)):
        for bit in (0, 3, 7):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
            with np.errstate(all="ignore"):
                read_or_refused(path)


def test_a_changed_number_in_a_zip_is_seen(tmp_path):
    content = bytearray(written(tmp_path / "m.bin", "zip", *state_of(SMALL)).read_bytes())
    content[content.index(SMALL["word"].tobytes()) + 5] ^= 1
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(InputError, match="Bad CRC-32"):
        read_arrays(tmp_path / "m.bin")


OPCODES = st.sampled_from(
    [
        *(bytes([code]) for code in b"()]}.0abehjNRQsutq\x85\x86\x87\x88\x89\x93\x94"),
        *(bytes([code]) for code in range(256)),
        whole(0),
        whole(1),
        whole(1 << 70),
        text("a"),
        text("storage"),
        text("torch"),
        text("FloatStorage"),
        FLOATS,
        REBUILD,
        named("collections", "OrderedDict"),
        named("torch._utils", "_rebuild_parameter"),
        storage("FloatStorage", "0", 2),
        TENSOR,
        many(whole(1)),
        b"q\x00",
        b"h\x00",
    ]
)


@given(st.lists(OPCODES, max_size=40))
@settings(max_examples=1500, deadline=None)
def test_no_row_of_opcodes_ends_in_anything_but_plain_values_or_a_value_error(opcodes):
    kept = torch_pickle.Storage(np.dtype("<f4"), 2, np.zeros(2, "<f4"))
    try:
        value, place = torch_pickle.load(b"".join(opcodes) + b".", lambda *_: kept)
    except ValueError:
        return
    assert 0 < place <= sum(map(len, opcodes)) + 1
    plain = int, float, str, tuple, list, dict, type(None), torch_pickle.Tensor, torch_pickle.Storage, np.dtype
    assert isinstance(value, (*plain, torch_pickle._Call))


@pytest.mark.parametrize("place", range(5))
def test_any_value_in_the_place_of_another_gives_arrays_or_a_refusal(place, tmp_path):
    values = [FLOATS, REBUILD, b"N", b"}", b"]", b"K\x05", text("a"), storage("FloatStorage", "0", 2), TENSOR]
    good = [pickle.dumps(value, 2) for value in (MAGIC, 1001, SYSTEM)]
    good += [b"\x80\x02" + mapping({"a": TENSOR}) + b".", pickle.dumps(["0"], 2)]
    for value in values:
        pickles = [*good[:place], b"\x80\x02" + value + b".", *good[place + 1 :]]
        (tmp_path / "m.bin").write_bytes(b"".join(pickles) + struct.pack("<q", 2) + bytes(8))
        read_or_refused(tmp_path / "m.bin")


# ---------------------------------------------------------------------------------------------------------- refusals


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.bin: cannot be read: No such file or directory. Check the path."):
        read_arrays(tmp_path / "none.bin")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_arrays(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"x", b"<html>not found</html>", b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_a_file_of_another_kind_is_refused(content, tmp_path):
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(InputError, match="not the weights of a PyTorch model, or damaged"):
        read_arrays(tmp_path / "m.bin")


def test_a_big_endian_file_is_refused(tmp_path):
    state, storages = state_of(SMALL)
    with zipfile.ZipFile(tmp_path / "zip.bin", "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02" + state + b".")
        archive.writestr("m/byteorder", "big")
    begin = [pickle.dumps(value, 2) for value in (MAGIC, 1001, SYSTEM | {"little_endian": False})]
    (tmp_path / "2019.bin").write_bytes(
        b"".join(begin) + b"\x80\x02" + state + b"." + pickle.dumps(sorted(storages), 2)
    )
    for form in FORMS:
        with pytest.raises(InputError, match="written on a big-endian machine"):
            read_arrays(tmp_path / f"{form}.bin")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"m/version": b"3"}, "there is no data.pkl in it"),
        ({"a/data.pkl": b"\x80\x02}.", "b/data.pkl": b"\x80\x02}."}, "there are 2 data.pkl in it"),
        ({"m/data.pkl": b"\x80\x02" + mapping({"a": TENSOR}) + b"."}, "there is no 'data/0' in it"),
    ],
)
def test_a_zip_of_something_else_is_refused(members, said, tmp_path):
    with zipfile.ZipFile(tmp_path / "m.bin", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match=said):
        read_arrays(tmp_path / "m.bin")


def test_an_encrypted_member_is_refused(tmp_path):
    content = bytearray(written(tmp_path / "m.bin", "zip", *state_of(SMALL)).read_bytes())
    place = content.index(b"PK\1\2")
    content[place + 8] |= 1  # the flag in the directory
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(InputError, match="is encrypted"):
        read_arrays(tmp_path / "m.bin")


@pytest.mark.parametrize("keys", [["0", "1", "9"], [["0"]], "01", [0, 1], ["0"]])
def test_a_2019_file_that_lists_other_storages_than_its_tensors_use_is_refused(keys, tmp_path):
    state, storages = state_of(SMALL)
    begin = b"".join(pickle.dumps(value, 2) for value in (MAGIC, 1001, SYSTEM))
    end = b"".join(struct.pack("<q", len(raw) // size) + raw for raw, size in storages.values())
    (tmp_path / "m.bin").write_bytes(begin + b"\x80\x02" + state + b"." + pickle.dumps(keys, 2) + end)
    with pytest.raises(InputError, match=r"other storages than its tensors use|whose numbers are not in the file"):
        read_arrays(tmp_path / "m.bin")
