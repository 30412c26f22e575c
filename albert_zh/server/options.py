"""Options of ``serve``. Neither TensorFlow nor a web framework here: ``--help`` answers at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from albert_zh.files import InputError
from albert_zh.server.limits import Limits


@dataclass(frozen=True)
class ServeOptions:
    """Options of ``serve``."""

    models: tuple[str, ...] = field(
        metadata={
            "help": "one or more models: fine-tuned folders, as finetune leaves them, or pretrained models",
            "positional": True,
        }
    )
    host: str = field(
        default="127.0.0.1",
        metadata={"help": "address to listen on; 127.0.0.1: this machine alone, 0.0.0.0: whoever reaches it"},
    )
    port: int = field(default=8000, metadata={"help": "port to listen on; 0: any free one, which is printed"})
    max_batch_size: int = field(
        default=Limits.batch_size, metadata={"help": "texts computed at once", "group": "batches"}
    )
    max_wait_ms: float = field(
        default=Limits.wait_ms,
        metadata={
            "help": "milliseconds that a batch waits for as many requests as the one before it had; one request that "
            "comes alone never waits",
            "group": "batches",
        },
    )
    max_body_bytes: int = field(
        default=Limits.body_bytes, metadata={"help": "bytes of a request's body", "group": "limits"}
    )
    max_characters: int = field(
        default=Limits.characters, metadata={"help": "characters of one text", "group": "limits"}
    )
    max_request_characters: int = field(
        default=Limits.request_characters,
        metadata={"help": "characters of all texts of one request", "group": "limits"},
    )
    max_texts: int = field(
        default=Limits.texts, metadata={"help": "texts, pairs or questions of one request", "group": "limits"}
    )
    max_queue: int = field(
        default=Limits.queue,
        metadata={"help": "texts that may wait for a model; more are refused with 503", "group": "limits"},
    )
    max_requests: int = field(
        default=Limits.requests,
        metadata={"help": "requests that may be in hand at once; more are refused with 503", "group": "limits"},
    )
    timeout_s: float = field(
        default=Limits.timeout_s,
        metadata={
            "help": "seconds that a request may take to arrive, or to be answered, before it ends with 408 or 504",
            "group": "limits",
        },
    )
    stop_s: float = field(
        default=10.0,
        metadata={"help": "seconds to finish what is in hand after SIGTERM or Ctrl-C", "group": "limits"},
    )

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InputError(f"--port={self.port}: must be from 0 to 65535.")
        if self.max_wait_ms < 0:
            raise InputError(f"--max_wait_ms={self.max_wait_ms:g}: must be 0 or more.")
        counts = ("batch_size", "body_bytes", "characters", "request_characters", "texts", "queue", "requests")
        for name in (f"max_{count}" for count in counts):
            if getattr(self, name) < 1:
                raise InputError(f"--{name}={getattr(self, name)}: must be 1 or more.")
        for name in ("timeout_s", "stop_s"):
            if getattr(self, name) <= 0:
                raise InputError(f"--{name}={getattr(self, name):g}: must be more than 0.")
        if self.max_texts > self.max_queue:
            raise InputError(
                f"--max_texts={self.max_texts}: more than --max_queue={self.max_queue}, so that no such request could "
                "ever be taken."
            )

    @property
    def limits(self) -> Limits:
        """What a request may ask."""
        return Limits(
            body_bytes=self.max_body_bytes,
            characters=self.max_characters,
            request_characters=self.max_request_characters,
            texts=self.max_texts,
            queue=self.max_queue,
            requests=self.max_requests,
            timeout_s=self.timeout_s,
            batch_size=self.max_batch_size,
            wait_ms=self.max_wait_ms,
        )
