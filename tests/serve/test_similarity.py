"""Two sentences mean the same with the probability of label 1; the model is loaded once, by whoever comes first."""

import io
import shutil
import sys

import pytest

from albert_zh.cli import main
from albert_zh.files import InputError
from albert_zh.serve import similarity
from albert_zh.serve.classifier import Classifier
from albert_zh.serve.similarity import EXAMPLE, FOLDERS, BertSim

PAIRS = [("天地人和", "上下"), ("木", "树"), ("春夏秋冬山水" * 9, "日月"), ("天地", "天地")]


@pytest.fixture(scope="module")
def sim(finetuned):
    return BertSim(finetuned)


def test_the_score_is_the_probability_of_the_label_one(sim, finetuned):
    wanted = [prediction.probabilities[1] for prediction in Classifier(finetuned).predict(PAIRS)]
    found = sim.predict_sentences(PAIRS)
    assert all(type(score) is float for score in found)
    assert found == pytest.approx(wanted, abs=1e-6)
    assert sim.predict_sentences(pair for pair in PAIRS) == pytest.approx(wanted, abs=1e-6)
    assert sim.predict_sentences([]) == []


def test_a_score_does_not_depend_on_the_batch(sim):
    together = sim.predict_sentences(PAIRS)
    assert [sim.predict_sentences([pair])[0] for pair in PAIRS] == pytest.approx(together, abs=1e-6)
    assert sim.predict_sentences(PAIRS[::-1], batch_size=2)[::-1] == pytest.approx(together, abs=1e-6)


def test_eight_threads_load_one_model_and_get_the_same_scores(finetuned, in_threads, monkeypatch):
    loads, load = [], similarity.finetuned

    def counted(model):
        loads.append(model)
        return load(model)

    monkeypatch.setattr(similarity, "finetuned", counted)
    sim = BertSim(finetuned)
    assert not loads, "nothing is loaded before it is needed"
    found = in_threads(lambda: sim.predict_sentences(PAIRS))
    sim.start_model()
    assert len(loads) == 1
    for scores in found:
        assert scores == pytest.approx(found[0], abs=1e-6)


def test_without_a_folder_the_first_finished_one_is_taken(finetuned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no model of sentence pairs in .*bash run_classifier_lcqmc\.sh"):
        BertSim()
    (tmp_path / "output" / "lcqmc").mkdir(parents=True)  # a run that has not ended
    shutil.copytree(finetuned, tmp_path / "output" / "lcqmc_sample")
    assert BertSim().model == "./output/lcqmc_sample"
    shutil.copytree(finetuned, tmp_path / "output" / "lcqmc_sweep")
    assert BertSim().model == "./output/lcqmc_sweep"
    assert FOLDERS[0] == "./output/lcqmc"


def test_the_help_names_the_folders_that_are_looked_for():
    help_text = similarity.SimilarityOptions.__dataclass_fields__["folder"].metadata["help"]
    assert ", ".join(FOLDERS) in help_text


def test_a_model_of_another_question_is_refused_when_it_is_started(tagging, tmp_path):
    sim = BertSim(tagging)
    with pytest.raises(InputError, match="whose answer is not whether two sentences mean the same"):
        sim.start_model()
    with pytest.raises(InputError, match="no finished fine-tuned folder"):
        BertSim(tmp_path / "none").predict_sentences(PAIRS)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("天地", "pairs: one text, '天地', where a list is needed"),
        (None, "pairs: None where a list is needed"),
        (["天地"], "text 1: the task 'lcqmc' takes a pair of texts"),
        ([("天", "地"), ("天", "")], "text 2: empty"),
    ],
)
def test_what_is_no_pair_is_told(sim, pairs, message):
    with pytest.raises(InputError, match=message):
        sim.predict_sentences(pairs)


def pipe(text):
    return io.TextIOWrapper(io.BytesIO(text if isinstance(text, bytes) else text.encode()), "utf-8")


def test_a_line_of_a_pipe_is_answered_before_the_next_one_comes(sim, capsys):
    class Waiting:
        def __init__(self):
            self.parts = [b"\xe5", "天\t地\n木".encode()[1:], "\t树\n".encode(), b""]
            self.shown = []

        def read1(self, size):
            self.shown.append(capsys.readouterr().out.count("\n"))
            return self.parts.pop(0)

    stream = Waiting()
    similarity._answer_pipe(sim, stream)
    assert stream.shown == [0, 0, 1, 1]


def test_the_command_scores_a_pair_and_the_lines_of_a_pipe(finetuned, sim, monkeypatch, capsys):
    def line(pair):
        return f"{sim.predict_sentences([pair])[0]:.4f}\t" + "\t".join(pair)

    assert main(["similarity", str(finetuned), "--text", *PAIRS[0]]) == 0
    assert capsys.readouterr().out.splitlines() == [line(PAIRS[0])]
    for size in (1 << 15, 10):  # of a piece of the pipe, which may end inside a character
        monkeypatch.setattr(similarity, "_BYTES", size)
        monkeypatch.setattr(sys, "stdin", pipe("\ufeff" + "\n".join(f"{a}\t{b}" for a, b in PAIRS)))
        assert main(["similarity", str(finetuned)]) == 0
        assert capsys.readouterr().out.splitlines() == [line(pair) for pair in PAIRS]
    monkeypatch.setattr(sys, "stdin", pipe("\n"))
    assert main(["similarity", str(finetuned)]) == 0
    assert capsys.readouterr().out.splitlines() == [line(EXAMPLE)], "nothing in the pipe: the example"


@pytest.mark.parametrize(
    ("words", "typed", "message"),
    [
        (["--text", "天"], "", "--text: two texts are needed, got 1"),
        ([], "天\t地\n天地\n", "standard input:2: 1 column; a pair is text<TAB>text"),
        ([], "天\t地\n\n天\t \n", "standard input:3: empty"),
        ([], "天\t地\n".encode("gb18030"), "standard input:1: not UTF-8"),
    ],
)
def test_what_cannot_be_scored_is_named(finetuned, monkeypatch, capsys, words, typed, message):
    monkeypatch.setattr(sys, "stdin", pipe(typed))
    assert main(["similarity", str(finetuned), *words]) == 2
    assert message in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_terminal_is_asked_until_an_empty_line_or_the_end(finetuned, sim, monkeypatch, capsys, end):
    monkeypatch.setattr(sys, "stdin", Terminal("天地人和\n上下\n木\n树\n" + end))
    assert main(["similarity", str(finetuned)]) == 0
    shown = capsys.readouterr().out
    for pair in (EXAMPLE, PAIRS[0], PAIRS[1]):
        assert f"{sim.predict_sentences([pair])[0]:.4f}\t" + "\t".join(pair) + "\n" in shown
    assert shown.count("1> ") == 3
