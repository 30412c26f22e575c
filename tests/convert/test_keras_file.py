"""One .keras file: the whole model comes back, and a file from anywhere is read without running anything of it."""

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from albert_zh.convert import keras_file
from albert_zh.convert.weights import variable_names
from albert_zh.files import InputError
from albert_zh.layouts import save_pretrained
from albert_zh.models.heads import AlbertForClassification, AlbertForPretraining, AlbertModel
from albert_zh.pretrained import find, load, load_pretrained

WEIGHTS = "model.weights.h5"
#: Parameters of the tiny network but for its words (V x 8) and its classifier (17 a class): projection, positions,
#: types, norm; attention, norm, feed-forward, norm; pooler.
OTHERS = 8 * 16 + (64 + 2 + 2) * 16 + 4 * 17 * 16 + 2 * 16 + 17 * 24 + 25 * 16 + 2 * 16 + 17 * 16


def state(model):
    return {name: ops.convert_to_numpy(variable) for name, variable in variable_names(model).items()}


def assert_same_weights(first, second):
    first, second = state(first), state(second)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def repack(file, change=None, *, packing=zipfile.ZIP_STORED, **contents):
    """Writes a .keras file anew with its ``config.json`` changed, or members by name replaced or (None) left out."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if change:
        about = json.loads(members["config.json"])
        changed = change(about)
        members["config.json"] = json.dumps(about if changed is None else changed).encode()
    members |= {name.replace("__", "."): content for name, content in contents.items()}
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)


@pytest.fixture(scope="module")
def model(tiny_config):
    return AlbertForClassification(tiny_config(), 3, seed=4)


@pytest.fixture
def file(model, tmp_path):
    """The classifier's file."""
    return tmp_path / keras_file.write(model, tmp_path)


# -------------------------------------------------------------------------------------------------------------- the way


@pytest.mark.parametrize("family", ["brightmart", "google"])
@pytest.mark.parametrize("kind", [AlbertModel, AlbertForPretraining, AlbertForClassification])
def test_what_is_written_and_read_is_bit_for_bit_the_same_for_every_class(kind, family, tiny_config, tmp_path):
    more = {"num_classes": 5} if kind is AlbertForClassification else {}
    model = kind(tiny_config(family=family), seed=7, **more)
    save_pretrained(model, tmp_path / "m", layout="keras")
    twin, report = load(find(tmp_path / "m" / keras_file.FILE), seed=8, bare=True)
    assert (type(twin), twin.config) == (kind, model.config)
    assert_same_weights(model, twin)
    assert (report.missing, report.unused) == ((), ())


@pytest.mark.parametrize("name", ["brightmart_preln", "google_2groups_2inner"])
def test_published_networks_of_every_kind_come_back_and_keras_itself_reads_them(name, golden, tmp_path):
    model = load_pretrained(golden / name, say=lambda _: None)
    keras_file.write(model, tmp_path)
    expected = np.load(golden / name / "expected.npz")
    inputs = {key: expected[key].astype(np.int32) for key in ("input_ids", "input_mask", "segment_ids")}
    for twin in (
        load_pretrained(tmp_path / keras_file.FILE, say=lambda _: None),
        keras.saving.load_model(tmp_path / keras_file.FILE),
    ):
        assert_same_weights(model, twin)
        outputs = twin(inputs)
        np.testing.assert_allclose(outputs["sequence_output"], expected["sequence_output"], atol=1e-5, rtol=0)


def test_the_config_lies_in_the_file(file, model, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    source = find(file.rename(alone / "any.keras"))
    assert (source.config, source.classes, source.stored.layout) == (model.config, 3, "keras")


def test_a_file_packed_anew_is_the_same(file, model):
    repack(file, packing=zipfile.ZIP_DEFLATED)
    assert_same_weights(load_pretrained(file, say=lambda _: None), model)


# -------------------------------------------------------------------------------------------------------------- hostile


def test_another_model_s_file_is_refused_by_its_class(tmp_path):
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(InputError, match=r"other\.keras: holds a 'Sequential', not a model of albert_zh"):
        find(tmp_path / "other.keras")


def test_code_in_a_file_is_not_run(tmp_path):
    ran = tmp_path / "ran"
    target = str(ran)
    layer = keras.layers.Lambda(lambda x: (open(target, "w").close(), x)[1], output_shape=(2,))
    evil = keras.Sequential([keras.Input((2,)), layer])
    evil.save(tmp_path / "evil.keras")
    with pytest.raises(InputError, match="not a model of albert_zh"):
        load_pretrained(tmp_path / "evil.keras")
    assert not ran.exists()
    evil(np.zeros((1, 2)))
    assert ran.exists(), "what it would have done"


@pytest.mark.parametrize("name", ["evil>Thing", "albert_zh>Thing", "AlbertForClassification", None])
def test_a_class_this_project_does_not_have_is_refused(name, file):
    repack(file, lambda about: about.update(registered_name=name))
    with pytest.raises(InputError, match=f"holds a '{name or 'AlbertForClassification'}', not a model of albert_zh"):
        find(file)


def test_the_module_and_class_a_file_names_are_not_looked_up(file, model):
    repack(file, lambda about: about.update(module="os", class_name="system", compile_config={"optimizer": "evil"}))
    assert_same_weights(load_pretrained(file, say=lambda _: None), model)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda about: about["config"]["config"].update(module="os", class_name="system"), "unknown key 'module'"),
        (lambda about: about["config"].update(config={"class_name": "Lambda"}), "unknown key 'class_name'"),
        (lambda about: about["config"].update(config=None), "not an object of config keys"),
        (lambda about: about["config"].update(seed="0"), "damaged"),
        (lambda about: about["config"].update(num_classes="3"), "damaged"),
        (lambda about: about["config"].update(num_classes=-1), "damaged"),
        (lambda about: about["config"].__delitem__("config"), "damaged"),
        (lambda about: about.update(config=[]), "damaged"),
        (lambda about: [about], "damaged"),
        (lambda about: {}, "holds a None, not a model of albert_zh"),
        (lambda about: about["config"]["config"].update(hidden_size=0), "hidden_size is 0"),
    ],
)
def test_a_config_that_is_none_is_refused(change, said, file):
    repack(file, change)
    with pytest.raises(InputError, match=rf"model\.keras: .*{said}"):
        find(file)


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        (lambda about: about["config"]["config"].update(vocab_size=10**12), 8 * 10**12 + OTHERS + 3 * 17),
        (lambda about: about["config"].update(num_classes=10**11), 8 * 40 + OTHERS + 10**11 * 17),
    ],
    ids=["words", "classes"],
)
def test_a_network_larger_than_the_file_is_refused_before_memory_is_taken_for_it(change, needed, file):
    repack(file, change)
    with pytest.raises(InputError, match=f"its config is of a network of {4 * needed:,} bytes, but it holds"):
        find(file)


def test_a_config_json_of_megabytes_is_not_read(file):
    repack(file, lambda about: about.update(note="x" * (1 << 20)))
    with pytest.raises(InputError, match=r"its config\.json is too large"):
        find(file)


# -------------------------------------------------------------------------------------------------------------- damaged


def test_a_file_cut_off_anywhere_is_refused(file):
    content = file.read_bytes()
    for length in (*range(0, len(content), 3001), len(content) - 22, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"model\.keras: not a \.keras file, cut off or damaged .*Copy it again"):
            find(file)


@pytest.mark.parametrize("where", [0.3, 0.5, 0.7, 0.9])
def test_a_flipped_byte_in_the_weights_is_noticed(where, file):
    content = bytearray(file.read_bytes())
    content[int(len(content) * where)] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.keras: its weights cannot be read \(.*CRC"):
        load_pretrained(file)


def test_a_file_that_is_not_there_or_no_archive_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.keras: no such file"):
        keras_file.open_stored(tmp_path / "none.keras")
    (tmp_path / "m.keras").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match=r"not a \.keras file, cut off or damaged"):
        find(tmp_path / "m.keras")


def test_weights_that_are_missing_or_no_weights_are_refused(file):
    repack(file, model__weights__h5=b"not HDF5" * 9999)
    with pytest.raises(InputError, match="its weights cannot be read"):
        load_pretrained(file)
    repack(file, model__weights__h5=None)
    with pytest.raises(InputError, match=r"damaged .*model\.weights\.h5"):
        find(file)


@pytest.mark.parametrize(
    "changes",
    [{"intermediate_size": 20}, {"hidden_size": 8}, {"vocab_size": 39}, {"family": "google"}, {"embedding_size": 4}],
    ids=lambda changes: next(iter(changes)),
)
def test_weights_of_another_size_are_refused(changes, file):
    repack(file, lambda about: about["config"]["config"].update(changes))
    with pytest.raises(InputError, match="its weights cannot be read"):
        load_pretrained(file)


def weights_of(file):
    with zipfile.ZipFile(file) as archive:
        return io.BytesIO(archive.read(WEIGHTS))


@pytest.mark.parametrize("lost", ["groups", "groups/container/block", "pooler", "embeddings/vars/0", "pooler/vars/1"])
def test_weights_of_which_a_part_is_lost_are_refused_not_made_up(lost, file):
    # Keras gives the layers of a list that is not in the file their first random values, and only warns.
    memory = weights_of(file)
    with h5py.File(memory, "r+") as weights:
        del weights[f"encoder/{lost}"]
    repack(file, model__weights__h5=memory.getvalue())
    with pytest.raises(InputError, match="its weights cannot be read"):
        load_pretrained(file)


def test_weights_that_point_to_another_file_are_refused(file, tmp_path):
    memory = weights_of(file)
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["x"] = np.zeros((16, 3), np.float32)
    with h5py.File(memory, "r+") as weights:
        holder = weights["classifier/vars"]
        assert holder["0"].shape == (16, 3)
        del holder["0"]
        holder["0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
    repack(file, model__weights__h5=memory.getvalue())
    with pytest.raises(InputError, match="its weights cannot be read"):
        load_pretrained(file)
