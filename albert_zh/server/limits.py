"""What a request may ask of the server, and the refusal of one that asks more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds that keep memory and waiting times bounded, whoever asks.

    Attributes:
        body_bytes: of a request's body.
        characters: of one text.
        request_characters: of all texts of a request, so that none holds a model for long.
        texts: texts, pairs or questions of a request.
        queue: texts waiting for one model.
        requests: requests in hand at once, of all models.
        timeout_s: seconds for a request to arrive, and again for its answer.
        batch_size: texts computed at once.
        wait_ms: milliseconds a batch waits for company; see ``batching.Batcher``.
    """

    body_bytes: int = 1 << 20
    characters: int = 5000
    request_characters: int = 50_000
    texts: int = 256
    queue: int = 2048
    requests: int = 512
    timeout_s: float = 30.0
    batch_size: int = 32
    wait_ms: float = 2.0


class Refused(Exception):
    """A request that is not answered.

    Attributes:
        status: of HTTP.
        message: what is wrong and what to do, one or two sentences.
        field: the part of the request it is about, such as ``texts[3]``.
        headers: of the answer.
    """

    def __init__(self, status: int, message: str, field: str | None = None, headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.status, self.message, self.field, self.headers = status, message, field, dict(headers or {})


def busy(message: str) -> Refused:
    """A 503 that says to come again."""
    return Refused(503, message, headers={"Retry-After": "1"})
