"""Entities are pieces of their texts and those the run found, chain of tags included."""

import pytest

from albert_zh.cli import main
from albert_zh.files import InputError
from albert_zh.opened import open_finetuned
from albert_zh.serve.tagger import Tagger


@pytest.fixture(scope="module")
def tagger(tagging):
    return Tagger(tagging)


@pytest.fixture(scope="module")
def found(tagging):
    """Dev texts, and what the run found in them."""
    lines = (tagging / "dev_predictions.tsv").read_text(encoding="utf-8").splitlines()[1:]
    task = open_finetuned(tagging).task
    return [line.split("\t")[1] for line in lines], task.read_predictions(tagging / "dev_predictions.tsv")


def told(tagged):
    return [[(entity.type, entity.start, entity.end) for entity in entities] for entities in tagged]


def test_a_folder_finds_what_its_run_found(tagger, found):
    texts, wanted = found
    answers = tagger.tag(texts, batch_size=5)
    assert told(answers) == [[tuple(entity) for entity in each.entities] for each in wanted]
    assert sum(map(len, answers)) > 20
    for text, entities, each in zip(texts, answers, wanted, strict=True):
        assert all(text[entity.start : entity.end] == entity.text for entity in entities)
        assert [entity.probability for entity in entities] == pytest.approx(each.confidences, abs=1e-5)


def test_the_chain_of_a_crf_takes_part(tagger, found, monkeypatch):
    texts = found[0]
    with_chain = tagger.tag(texts)
    chain = {name: value.copy() for name, value in tagger._weights.items()}
    assert set(chain) == {"transitions", "first", "last"}
    chain["first"][1::2] = chain["transitions"][:, 1::2] = -1e6  # no tag that begins an entity
    monkeypatch.setattr(tagger, "_weights", chain)
    assert any(with_chain)
    assert not any(tagger.tag(texts))


def test_an_answer_does_not_depend_on_the_batch_and_the_thread(tagger, found, in_threads):
    texts = found[0][:9]
    together = told(tagger.tag(texts))
    assert told(tagger.tag([text])[0] for text in texts) == together
    assert told(tagger.tag(texts[::-1])[::-1]) == together
    assert all(each == together for each in in_threads(lambda: told(tagger.tag(texts))))
    assert tagger.tag([]) == []


def test_types_are_called_by_their_names(tagging, tmp_path):
    tagger = Tagger(tagging)
    assert set(tagger.types) == {"山", "水"}
    tagger.types = {"山": "mountain", "水": "water"}
    names = {(entity.type, entity.name) for entities in tagger.tag(["天地日月风云花草"]) for entity in entities}
    assert names <= {("山", "mountain"), ("水", "water")}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("天地", "texts: one text, '天地', where a list is needed"),
        (["天", ""], "text 2: '' where some text"),
        ([3], "text 1: 3"),
    ],
)
def test_what_cannot_be_tagged_is_told(tagger, texts, message):
    with pytest.raises(InputError, match=message):
        tagger.tag(texts)


def test_a_model_of_another_task_is_refused(finetuned):
    with pytest.raises(InputError, match="a model of lcqmc, a task of kind 'pair', where one of tagging"):
        Tagger(finetuned)


def test_the_command_tells_every_entity_and_every_text_without(tagging, tagger, found, tmp_path, capsys):
    texts = [*found[0][:3], "天", "\u200b"]  # the last has no token
    answers = tagger.tag(texts)
    (tmp_path / "in.tsv").write_text("\n".join(texts) + "\n", encoding="utf-8")
    out = tmp_path / "out.tsv"
    assert main(["predict", str(tagging), f"--input_file={tmp_path}/in.tsv", f"--output_file={out}"]) == 0
    assert capsys.readouterr().out == f"5 answers: {out}\n"
    lines = [line.split("\t") for line in out.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == ["type", "text", "start", "end", "source"]
    wanted = []
    for text, entities in zip(texts, answers, strict=True):
        wanted += [[each.type, each.text, str(each.start), str(each.end), text] for each in entities]
        wanted += [["", "", "", "", text]] * (not entities)
    assert lines[1:] == wanted
    assert main(["predict", str(tagging), "--text", *texts]) == 0
    assert [line.split("\t") for line in capsys.readouterr().out.splitlines()] == lines
