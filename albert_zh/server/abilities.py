"""What a model can be asked: one row of ABILITIES each, with its path, its messages and the function behind it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from albert_zh.server import messages
from albert_zh.server.limits import Refused
from albert_zh.tasks.sentences import SentenceTask

if TYPE_CHECKING:
    from albert_zh.opened import OpenModel

#: Sequences the network gets at once, of a batch sorted by length. On two cores 8 are as fast as 16 and faster than 32,
#: which hold more padding; and TensorFlow keeps memory for every shape that it has seen, of which there are few so.
AT_ONCE = 8
#: Blanks of one text, and of a request: each is a search of its own, and all of them must end within the timeout.
MAX_BLANKS, MAX_REQUEST_BLANKS = 8, 64
#: Answers to the rows of requests that share their options, one each, in order, as JSON values.
Answer = Callable[[list[Any], Hashable], Sequence[dict[str, Any]]]
#: One row of a request: the field it stands in, what the function gets, and its texts with the field of each.
Part = tuple[Any, list[tuple[str, str]]]


@dataclass(frozen=True)
class Ability:
    """One thing that can be asked.

    Attributes:
        name: its path is ``/v1/name``.
        summary: one line for the OpenAPI page.
        request, answer: the shapes of a request and of one answer.
        can: whether a model can.
        make: the function of a model that can.
        parts: the rows of a request to a model.
        options: what rows must share to be computed together.
        needs: how to get a model that can, for the refusal.
        trial: a request that a fresh model answers first, so that no user waits for what happens once.
    """

    name: str
    summary: str
    request: type[BaseModel]
    answer: type[BaseModel]
    can: Callable[[OpenModel], bool]
    make: Callable[[OpenModel], Answer]
    parts: Callable[[Any, OpenModel], Iterator[Part]]
    needs: str
    trial: Callable[[OpenModel], BaseModel]
    options: Callable[[Any], Hashable] = lambda request: None

    @property
    def path(self) -> str:
        return f"/v1/{self.name}"


# ---------------------------------------------------------------------------------------------------------------------
# Which model can


def _sentences(opened: OpenModel) -> bool:
    return isinstance(opened.task, SentenceTask) and opened.task.kind in ("single", "pair")


def _pairs_alike(opened: OpenModel) -> bool:
    from albert_zh.serve.similarity import asks_whether_same

    return asks_whether_same(opened.task)


def _kind(kind: str) -> Callable[[OpenModel], bool]:
    return lambda opened: opened.task is not None and opened.task.kind == kind


# ---------------------------------------------------------------------------------------------------------------------
# Rows of a request


def _texts(request: Any, opened: OpenModel) -> Iterator[Part]:
    for number, text in enumerate(request.texts):
        yield text, [(f"texts[{number}]", text)]


def _pairs(request: Any, opened: OpenModel) -> Iterator[Part]:
    for number, pair in enumerate(request.pairs):
        yield tuple(pair), [(f"pairs[{number}][{place}]", text) for place, text in enumerate(pair)]


def _texts_or_pairs(request: messages.TextsOrPairs, opened: OpenModel) -> Iterator[Part]:
    wanted, other = ("pairs", "texts") if opened.task.kind == "pair" else ("texts", "pairs")
    if getattr(request, wanted) is None or getattr(request, other) is not None:
        what = "pairs of texts" if wanted == "pairs" else "single texts"
        raise Refused(422, f"The task {opened.task.name} is on {what}: give {wanted}, and {wanted} alone.", wanted)
    return (_pairs if wanted == "pairs" else _texts)(request, opened)


def _blanks(request: messages.Blanks, opened: OpenModel) -> Iterator[Part]:
    total = 0
    for row, texts in _texts(request, opened):
        if "[MASK]" not in row:
            raise Refused(422, "No [MASK] in the text, which marks the blank to fill.", texts[0][0])
        if row.count("[MASK]") > MAX_BLANKS:
            raise Refused(422, f"More than {MAX_BLANKS} [MASK] in the text.", texts[0][0])
        total += row.count("[MASK]")
        if total > MAX_REQUEST_BLANKS:
            raise Refused(422, f"More than {MAX_REQUEST_BLANKS} [MASK] in the request. Send several.", texts[0][0])
        yield row, texts


def _questions(request: messages.Questions, opened: OpenModel) -> Iterator[Part]:
    for number, row in enumerate(request.questions):
        where = f"questions[{number}]"
        yield (row.passage, row.question), [(f"{where}.passage", row.passage), (f"{where}.question", row.question)]


# ---------------------------------------------------------------------------------------------------------------------
# The functions


def _similarity(opened: OpenModel) -> Answer:
    from albert_zh.serve.similarity import BertSim

    sim = BertSim(opened)
    return lambda rows, _: [{"probability": same} for same in sim.predict_sentences(rows, AT_ONCE)]


def _classify(opened: OpenModel) -> Answer:
    from albert_zh.serve.classifier import Classifier

    classifier = Classifier(opened)
    labels = list(zip(opened.task.labels, opened.label_names, strict=True))

    def told(prediction: Any) -> dict[str, Any]:
        if not labels:
            return {"value": prediction.value}
        return {
            "label": prediction.label,
            "name": classifier.name_of(prediction.label),
            "probability": prediction.confidence,
            "probabilities": [
                {"label": label, "name": name, "probability": probability}
                for (label, name), probability in zip(labels, prediction.probabilities, strict=True)
            ],
        }

    return lambda rows, _: [told(prediction) for prediction in classifier.predict(rows, AT_ONCE)]


def _tag(opened: OpenModel) -> Answer:
    from albert_zh.serve.tagger import Tagger

    tagger = Tagger(opened)
    return lambda rows, _: [
        {"entities": [{name: getattr(entity, name) for name in messages.FoundEntity.model_fields} for entity in found]}
        for found in tagger.tag(rows, AT_ONCE)
    ]


def _answer(opened: OpenModel) -> Answer:
    from albert_zh.serve.question_answerer import QuestionAnswerer

    answerer = QuestionAnswerer(opened)
    return lambda rows, _: [
        {name: getattr(answer, name) for name in messages.FoundAnswer.model_fields}
        for answer in answerer.answer(rows, AT_ONCE)
    ]


def _fill(opened: OpenModel) -> Answer:
    from albert_zh.serve.fill_mask import FillMask

    fill_mask = FillMask(opened)

    def told(blanks: Any) -> dict[str, Any]:
        names = messages.Candidate.model_fields
        return {"blanks": [[{name: getattr(word, name) for name in names} for word in words] for words in blanks]}

    return lambda rows, top_k: [told(blanks) for blanks in fill_mask.fill(rows, top_k, batch_size=AT_ONCE)]


def _encode(opened: OpenModel) -> Answer:
    from albert_zh.serve.encoder import Encoder

    encoder = Encoder(opened)
    return lambda rows, _: [{"vector": vector} for vector in encoder.encode(rows, AT_ONCE).tolist()]


ABILITIES = (
    Ability(
        name="similarity",
        summary="How probable it is that two texts mean the same",
        request=messages.Pairs,
        answer=messages.Similarity,
        can=_pairs_alike,
        make=_similarity,
        parts=_pairs,
        needs="albert-zh finetune --task_name=lcqmc",
        trial=lambda opened: messages.Pairs(pairs=[["天", "地"]]),
    ),
    Ability(
        name="classify",
        summary="The label of a text or of a pair, with the probability of every label",
        request=messages.TextsOrPairs,
        answer=messages.Classification,
        can=_sentences,
        make=_classify,
        parts=_texts_or_pairs,
        needs="albert-zh finetune --task_name=tnews",
        trial=lambda opened: (
            messages.TextsOrPairs(pairs=[["天", "地"]])
            if opened.task.kind == "pair"
            else messages.TextsOrPairs(texts=["天"])
        ),
    ),
    Ability(
        name="entities",
        summary="The names, places and other entities of a text, with their characters",
        request=messages.Texts,
        answer=messages.Entities,
        can=_kind("tagging"),
        make=_tag,
        parts=_texts,
        needs="albert-zh finetune --task_name=cluener",
        trial=lambda opened: messages.Texts(texts=["天"]),
    ),
    Ability(
        name="fill-mask",
        summary="The likeliest words in the blanks of a text",
        request=messages.Blanks,
        answer=messages.Filled,
        can=lambda opened: opened.fills_blanks,
        make=_fill,
        parts=_blanks,
        needs="a pretrained model with its masked-LM head, such as albert-zh download albert_tiny_zh",
        trial=lambda opened: messages.Blanks(texts=["天[MASK]"]),
        options=lambda request: request.top_k,
    ),
    Ability(
        name="answer",
        summary="The piece of a passage that answers a question",
        request=messages.Questions,
        answer=messages.FoundAnswer,
        can=_kind("span"),
        make=_answer,
        parts=_questions,
        needs="albert-zh finetune --task_name=cmrc2018",
        trial=lambda opened: messages.Questions(questions=[{"passage": "天", "question": "地"}]),
    ),
    Ability(
        name="encode",
        summary="A text as a vector of length 1, whose products with others say how alike they are",
        request=messages.Texts,
        answer=messages.Vector,
        can=lambda opened: True,
        make=_encode,
        parts=_texts,
        needs="any model",
        trial=lambda opened: messages.Texts(texts=["天"]),
    ),
)
