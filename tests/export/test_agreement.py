"""An export that answers otherwise than its model is refused, by numbers and by answers; padding is nobody's."""

import numpy as np
import pytest

from albert_zh.export import agreement
from albert_zh.export.network import network_of
from albert_zh.export.options import ExportOptions
from albert_zh.export.sentences import Sequences, sequences
from albert_zh.export.targets import EXACT, Limit
from albert_zh.files import InputError

ANY = Limit(1e9, 0.0)


@pytest.fixture(scope="module")
def ask(finished):
    """``ask(opened, count)``: real rows for a model."""
    return lambda opened, count=12: sequences(opened, ExportOptions(model="", output_dir="", to="litert"), count)


def keras_run(opened, change=lambda name, value, inputs: value):
    """A ``Run`` that answers as Keras does, with a change to each output."""
    network = network_of(opened)

    def run(inputs):
        return {name: change(name, np.array(value), inputs) for name, value in network(inputs).items()}

    return run


def largest_logit(opened, asked):
    """Of all sequences, each alone and unpadded."""
    rows = zip(asked.input_ids, asked.segment_ids, strict=True)
    return max(
        float(
            np.abs(
                opened.model(
                    {"input_ids": ids[None], "input_mask": np.ones_like(ids[None]), "segment_ids": segments[None]}
                )["logits"]
            ).max()
        )
        for ids, segments in rows
    )


# Alike


@pytest.mark.parametrize(
    ("name", "more"),
    [("lcqmc", {}), ("tnews", {}), ("c3", {}), ("squad2", {}), ("cluener", {}), ("cluener", {"crf": True}), ("", {})],
)
def test_the_model_itself_is_alike_in_every_row_of_every_kind(name, more, finished, ask):
    opened = finished(name, **more)
    asked = ask(opened)
    found = agreement.compare(opened, keras_run(opened), asked, EXACT)
    assert (found.difference, found.of) == (0, asked.of)
    if name:
        assert found.same == found.rows == len(asked.features.rows) > 0
    else:
        assert (found.same, found.rows) == (None, len(asked.input_ids))


def test_a_cloze_is_compared_by_its_answers_too(finished, ask, prompt):
    opened = finished("lcqmc", prompt=prompt)
    found = agreement.compare(opened, keras_run(opened), ask(opened), EXACT)
    assert found.same == found.rows > 0


def test_answers_that_are_numbers_are_compared_as_numbers(finished, ask):
    opened = finished("stsb")
    asked = ask(opened)
    found = agreement.compare(opened, keras_run(opened), asked, EXACT)
    assert (found.same, found.rows) == (None, len(asked.input_ids))


def test_what_stands_in_padding_is_not_looked_at(finished, ask):
    def spoil(name, value, inputs):
        value[inputs["input_mask"] == 0] = np.nan
        return value

    opened = finished("cluener")
    asked = ask(opened)
    assert len({len(ids) for ids in asked.input_ids}) > 1
    assert agreement.compare(opened, keras_run(opened, spoil), asked, EXACT).difference == 0


# Apart


def test_the_difference_is_the_largest_of_all_and_the_limit_a_share_of_the_largest_logit(finished, ask):
    opened = finished("lcqmc")
    asked = ask(opened)
    largest = max(1.0, largest_logit(opened, asked))

    def moved_once(by):
        """One logit of one row, moved."""

        def change(name, value, inputs):
            value[:, 1] += by * (inputs["input_ids"][:, : len(asked.input_ids[3])] == asked.input_ids[3]).all(axis=1)
            return value

        return keras_run(opened, change)

    limit = Limit(0.1, 0.0)
    found = agreement.compare(opened, moved_once(0.09 * largest), asked, limit)
    assert found.difference == pytest.approx(0.09 * largest, rel=1e-4)
    assert found.limit == pytest.approx(0.1 * largest, rel=1e-4)
    mean = 0.09 * largest / (len(asked.input_ids) * 2)  # one of all the logits
    assert found.notes == (f"Mean difference {mean:.1e}.",)
    for by in (0.11, -0.11):
        with pytest.raises(InputError, match=r"not written: it is not the model it was made from\. 12 sequences"):
            agreement.compare(opened, moved_once(by * largest), asked, limit)


def flipped(opened, asked, count):
    """Answers the first ``count`` rows the other way round."""
    rows = [tuple(ids) for ids in asked.input_ids[:count]]

    def change(name, value, inputs):
        for place, (ids, mask) in enumerate(zip(inputs["input_ids"], inputs["input_mask"], strict=True)):
            if tuple(ids[mask == 1]) in rows:
                value[place] = value[place, ::-1]
        return value

    return keras_run(opened, change)


@pytest.mark.parametrize(
    ("rows", "same", "most"),
    [(20, 0.75, 5), (20, 0.9, 2), (20, 0.95, 1), (20, 0.97, 1), (10, 0.7, 3), (12, 0.99, 1), (12, 1.0, 1)],
)
def test_so_many_answers_may_be_others_and_one_always(rows, same, most, finished, ask):
    opened = finished("lcqmc")
    asked = ask(opened, rows)
    assert len(set(map(tuple, asked.input_ids))) == len(asked.input_ids) == rows
    found = agreement.compare(opened, flipped(opened, asked, most), asked, Limit(1e9, same))
    assert (found.same, found.rows) == (rows - most, rows)
    with pytest.raises(InputError, match=rf"not written: only {rows - most - 1} of {rows} answers are the model's"):
        agreement.compare(opened, flipped(opened, asked, most + 1), asked, Limit(1e9, same))


@pytest.mark.parametrize(
    ("strange", "told"), [(np.nan, "NaN"), (np.inf, "an infinite number"), (-np.inf, "an infinite")]
)
def test_what_is_no_number_is_refused_whatever_the_limit(strange, told, finished, ask):
    def change(name, value, inputs):
        value[-1, 0] = strange
        return value

    opened = finished("lcqmc")
    with pytest.raises(InputError, match=f"not written: in logits it gives {told}"):
        agreement.compare(opened, keras_run(opened, change), ask(opened), ANY)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda value: value[:-1], "not written: its logits should be .12, 2., got .11, 2."),
        (lambda value: value[:, :1], "got .12, 1."),
        (lambda value: value[..., None], "got .12, 2, 1."),
    ],
)
def test_an_output_of_another_shape_is_refused(change, told, finished, ask):
    opened = finished("lcqmc")
    with pytest.raises(InputError, match=told):
        agreement.compare(opened, keras_run(opened, lambda name, value, inputs: change(value)), ask(opened), ANY)


def test_a_missing_output_is_named_with_those_that_are_there(finished, ask):
    opened = finished("")
    run = keras_run(opened)

    def without_words(inputs):
        found = run(inputs)
        del found["mlm_logits"]
        return found

    with pytest.raises(InputError, match=r"its mlm_logits should be .*, got none, only sequence_output, pooled_output"):
        agreement.compare(opened, without_words, ask(opened, 2), ANY)


def test_lines_of_text_have_no_answers_to_compare(finished):
    opened = finished("lcqmc")
    ids = [np.array([opened.tokenizer.cls_id, 9, opened.tokenizer.sep_id], np.int32)]
    found = agreement.compare(opened, keras_run(opened), Sequences(ids, [np.zeros(3, np.int32)], "lines"), EXACT)
    assert (found.rows, found.same, found.of) == (1, None, "lines")
