"""The loaded models, what each can do, and whether they may be asked."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from albert_zh.files import InputError, first_line
from albert_zh.server.abilities import ABILITIES, Ability, Answer
from albert_zh.server.batching import Batcher
from albert_zh.server.limits import Limits, Refused, busy
from albert_zh.server.metrics import Metrics
from albert_zh.terminal import standard_error_held

if TYPE_CHECKING:
    from albert_zh.opened import OpenModel


@dataclass(frozen=True)
class Served:
    """A model that is asked.

    Attributes:
        name: of the folder it lies in.
        opened: the model.
        abilities: name of an ability to its function.
        batcher: its queue.
    """

    name: str
    opened: OpenModel
    abilities: dict[str, Answer]
    batcher: Batcher


class Service:
    """Models by name, with one state for all: "loading", "ready", "stopping"."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.metrics = Metrics()
        self.models: dict[str, Served] = {}
        self.state = "loading"
        self._lock = threading.RLock()  # stop() runs in a signal handler, which may come over itself

    def load(self, models: Iterable[str | os.PathLike[str] | OpenModel]) -> None:
        """Opens all models, asks each once, and is ready.

        Raises:
            InputError: one cannot be opened.
        """
        with standard_error_held():  # TensorFlow's notes
            from albert_zh.opened import OpenModel, open_model  # here: the address answers before Keras is there
            from albert_zh.serve import classifier  # noqa: F401

        for model in models:
            given = isinstance(model, OpenModel)
            opened = model if given else open_model(model)
            name = self._name(model.source.folder if given else Path(model))
            self.add(name, opened, {row.name: row.make(opened) for row in ABILITIES if row.can(opened)})
        if not self.models:
            raise InputError("no model to serve. Give one or more folders.")
        with self._lock:
            if self.state == "loading":
                self.state = "ready"

    def add(self, name: str, opened: OpenModel, abilities: dict[str, Answer]) -> None:
        """Serves a model, after one trial of each ability."""
        for row in ABILITIES:
            if row.name in abilities:
                trial = row.trial(opened)
                abilities[row.name]([part for part, _ in row.parts(trial, opened)], row.options(trial))
        batcher = Batcher(name, self.limits, lambda rows: self.metrics.batch(name, rows))
        self.models = {**self.models, name: Served(name, opened, abilities, batcher)}

    def stop(self) -> None:
        """Takes no further requests."""
        with self._lock:
            self.state = "stopping"

    def close(self, timeout: float) -> bool:
        """Ends the threads of the models; False: one still computed after so many seconds."""
        self.stop()
        until = time.monotonic() + timeout
        closed = [served.batcher.close(max(0.0, until - time.monotonic())) for served in self.models.values()]
        return all(closed)

    def waiting(self) -> dict[str, int]:
        """Rows that wait, by model."""
        return {name: served.batcher.waiting for name, served in self.models.items()}

    def choose(self, ability: Ability, name: str | None) -> Served:
        """The model of that name, or the first that has the ability.

        Raises:
            Refused: there is none.
        """
        able = [served for served in self.models.values() if ability.name in served.abilities]
        if name is not None:
            if name not in self.models:
                raise Refused(404, f"No model of this name. Loaded: {', '.join(self.models)}.", "model")
            able = [served for served in able if served.name == name]
        if not able:
            if name is None:
                raise Refused(
                    404, f"No loaded model answers {ability.name}. A model that does: {ability.needs}", "model"
                )
            others = [served.name for served in self.models.values() if ability.name in served.abilities]
            advice = f"These do: {', '.join(others)}." if others else f"A model that does: {ability.needs}"
            raise Refused(404, f"The model {name} does not answer {ability.name}. {advice}", "model")
        return able[0]

    def check_ready(self) -> None:
        """Raises Refused, 503, while models are loading or the server stops."""
        if self.state != "ready":
            raise busy(f"The server is {self.state}. Ask again later.")

    async def answer(self, ability: Ability, request: Any) -> tuple[str, list[dict[str, Any]]]:
        """The model's name and its answers to a request.

        Raises:
            Refused: the request asks what cannot be answered, too much, or at a bad time.
        """
        served = self.choose(ability, request.model)
        rows, characters = [], 0
        for row, texts in ability.parts(request, served.opened):
            for field, text in texts:
                self._check(field, text)
                characters += len(text)
            rows.append(row)
        if characters > (most := self.limits.request_characters):
            raise Refused(422, f"{characters:,} characters in all, more than {most:,}. Send several requests.")
        if len(rows) > self.limits.texts:
            raise Refused(422, f"{len(rows)} rows, more than {self.limits.texts}. Send several requests.")
        options = ability.options(request)
        function = served.abilities[ability.name]
        future = served.batcher.submit((ability.name, options), lambda batch: function(batch, options), rows)
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                return served.name, await asyncio.wrap_future(future)
        except TimeoutError:
            raise Refused(504, f"No answer within {self.limits.timeout_s:g} seconds. Ask for less at once.") from None
        except InputError as error:
            raise Refused(422, first_line(error)) from None

    def _check(self, field: str, text: str) -> None:
        if not text.strip():
            raise Refused(422, "Empty. Give some text.", field)
        if not _is_unicode(text):
            raise Refused(422, "Half of a surrogate pair stands alone in the text. Fix its encoding.", field)
        if len(text) > self.limits.characters:
            raise Refused(
                422, f"{len(text):,} characters, more than {self.limits.characters:,}. Send shorter texts.", field
            )

    def _name(self, path: Path) -> str:
        base = path.resolve().name or "model"
        name, number = base, 1
        while name in self.models:
            number += 1
            name = f"{base}-{number}"
        return name


def _is_unicode(text: str) -> bool:
    r"""False for half of a surrogate pair, which JSON's escapes can write and UTF-8 cannot.

    >>> _is_unicode("\U0001f600"), _is_unicode("\ud83d")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
