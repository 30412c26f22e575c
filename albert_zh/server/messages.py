"""The shapes of requests and answers, as the OpenAPI page shows them."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

# ---------------------------------------------------------------------------------------------------------------------
# Requests


class Request(BaseModel):
    """What every request may say."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = Field(None, description="name of a loaded model; left out: the first that can answer")


Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class Texts(Request):
    texts: list[str] = Field(min_length=1, examples=[["今天天气很好"]])


class Pairs(Request):
    pairs: list[Pair] = Field(min_length=1, examples=[[["我喜欢妈妈做的汤", "妈妈做的汤我很喜欢喝"]]])


class TextsOrPairs(Request):
    texts: list[str] | None = Field(None, min_length=1, description="for a task on single texts")
    pairs: list[Pair] | None = Field(None, min_length=1, description="for a task on pairs of texts")


class Blanks(Texts):
    texts: list[str] = Field(min_length=1, examples=[["今天[MASK]气很好"]], description="each with one or more [MASK]")
    top_k: int = Field(5, ge=1, le=20, description="candidates for each blank")


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    passage: str
    question: str


class Questions(Request):
    questions: list[Question] = Field(min_length=1)


# ---------------------------------------------------------------------------------------------------------------------
# Answers


class Probability(BaseModel):
    label: str
    name: str = Field(description="what the label stands for, for people")
    probability: float


class Similarity(BaseModel):
    probability: float = Field(description="that the two texts mean the same, 0 to 1")


class Classification(BaseModel):
    label: str | None = Field(None, description="the likeliest label; none for a task whose answer is a number")
    name: str | None = None
    probability: float | None = None
    probabilities: list[Probability] = Field([], description="of every label, in the task's order; they sum to 1")
    value: float | None = Field(None, description="the number, for a regression")


class FoundEntity(BaseModel):
    text: str
    type: str
    name: str = Field(description="what the type stands for, for people")
    start: int = Field(description="first character, from 0; a character is a Unicode code point")
    end: int = Field(description="the character after the last")
    probability: float = Field(description="mean probability of its tokens' tags")


class Entities(BaseModel):
    entities: list[FoundEntity]


class Candidate(BaseModel):
    text: str = Field(description="the word; ## before it: it goes on with the word on its left")
    probability: float
    sentence: str = Field(description="the text with this blank filled")


class Filled(BaseModel):
    blanks: list[list[Candidate]] = Field(description="for each blank, the likeliest first; [MASK][MASK] is one blank")


class FoundAnswer(BaseModel):
    text: str = Field(description="a piece of the passage; empty: the model says it holds no answer")
    start: int = Field(description="first character in the passage, from 0, in code points")
    end: int = Field(description="the character after the last")
    probability: float
    null_odds: float | None = Field(None, description="score of no answer less that of the best; above 0 favours none")


class Vector(BaseModel):
    vector: list[float]


AnswerType = TypeVar("AnswerType", bound=BaseModel)


class Answers(BaseModel, Generic[AnswerType]):
    """Answers in the order of the request."""

    model: str
    milliseconds: float = Field(description="from the request's arrival to its answer, inside the server")
    answers: list[AnswerType]


# ---------------------------------------------------------------------------------------------------------------------
# About the server


class ModelInfo(BaseModel):
    name: str
    task: str | None = Field(description="what it was fine-tuned for; none: a pretrained model")
    kind: str = Field(description="single, pair, tagging, span, pretrained …")
    abilities: list[str]
    labels: list[str]
    label_names: list[str]
    max_seq_length: int


class Bounds(BaseModel):
    body_bytes: int
    characters: int
    texts: int


class Models(BaseModel):
    models: list[ModelInfo]
    limits: Bounds


class Health(BaseModel):
    status: str = Field(description="ready; or with status 503: loading, stopping")


class Problem(BaseModel):
    message: str
    field: str | None = Field(None, description="the part of the request it is about")


class ErrorAnswer(BaseModel):
    error: Problem
