"""The server under load on the loopback address: requests a second, waiting times, what batches give, and bad requests.

    python benchmarks/serve.py FINETUNED DATA_DIR

FINETUNED is a model of sentence pairs with labels 0 and 1, DATA_DIR holds its data set. Every request asks about one
pair of dev and its answer is compared with that of ``Classifier.predict``. The clients are one process beside the
server, so that both share the machine's cores. Parts, each bounded in time or count:

1. 1, 8 and 64 clients, each of which asks again as soon as it is answered: requests a second, median and 99th
   percentile of the time to an answer.
2. The same with batches of one request, in turns, round after round.
3. Requests of which a part is malformed, in an order drawn from a seed: each good one must get its answer and each bad
   one a refusal of its kind. Resident memory of the server, before, between and after.

ALBERT-tiny fine-tuned on LCQMC, 2 idle x86-64 cores: 103, 249 and 265 requests/s with 1, 8 and 64 clients, median 9, 31
and 225 ms, 99th percentile 15, 49 and 479 ms. Batches beside batches of one: 0.93 (0.86 to 1.05), 2.04 (1.80 to 2.22)
and 2.44 (2.17 to 2.65) times the requests. With --requests=30000, of which 8,983 were bad, none failed; memory was 787
MB before and after each fifth 814, 824, 830, 832, 832 MB. With a shape of its own for every length it went on growing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

#: What an answer may differ by from the Python call's, which computes other batches.
LIMIT = 1e-4
PATH = "/v1/similarity"


def request_bytes(body: bytes, path: str = PATH, method: str = "POST", kind: str = "application/json") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def pair_bytes(first: object, second: object, **more: object) -> bytes:
    return request_bytes(json.dumps({"pairs": [[first, second]], **more}).encode())


#: Name -> (what is sent, the status it must get; None: the client leaves without waiting).
BAD: dict[str, tuple[Callable[[random.Random], bytes], int | None]] = {
    "cut JSON": (lambda dice: request_bytes(b'{"pairs": [["a", "b"]'[: dice.randrange(2, 20)]), 400),
    "not UTF-8": (lambda dice: request_bytes(b'{"pairs": [["\xff", "b"]]}'), 400),
    "a number for a text": (lambda dice: pair_bytes(dice.random(), "b"), 422),
    "three texts": (lambda dice: request_bytes(b'{"pairs": [["a", "b", "c"]]}'), 422),
    "an empty text": (lambda dice: pair_bytes("a", " " * dice.randrange(9)), 422),
    "half a surrogate pair": (lambda dice: pair_bytes("a", chr(dice.randrange(0xD800, 0xE000))), 422),
    "an unknown field": (lambda dice: pair_bytes("a", "b", **{f"x{dice.random()}": 1}), 422),
    "an unknown model": (lambda dice: pair_bytes("a", "b", model="none"), 404),
    "a text too long": (lambda dice: pair_bytes("a", "长" * dice.randrange(5001, 9000)), 422),
    "too many pairs": (lambda dice: request_bytes(json.dumps({"pairs": [["a", "b"]] * 257}).encode()), 422),
    "a body too large": (lambda dice: request_bytes(b" " * ((1 << 20) + 1)), 413),
    "an unknown path": (lambda dice: request_bytes(b"{}", f"/v1/{dice.random()}"), 404),
    "an unknown method": (lambda dice: request_bytes(b"{}", method="PUT"), 405),
    "another content type": (lambda dice: request_bytes(b'{"pairs": [["a", "b"]]}', kind="text/plain"), 415),
    "no HTTP": (lambda dice: dice.randbytes(40) + b"\r\n\r\n", 400),
    "dropped in the body": (lambda dice: pair_bytes("a", "b")[: -dice.randrange(1, 10)], None),
    "dropped before the answer": (lambda dice: pair_bytes("a", "b"), None),
}


class Server:
    """A server process on a free port."""

    def __init__(self, folder: str, *flags: str):
        words = [sys.executable, "-m", "albert_zh", "serve", folder, "--port=0", *flags]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
        first = self.process.stdout.readline()
        self.port = int(re.match(r"http://127\.0\.0\.1:(\d+) ", first)[1]) if first else 0
        if not self.port or not any(line.startswith("ready") for line in self.process.stdout):
            raise SystemExit(f"the server did not start: {' '.join(words)}")

    def memory(self) -> float:
        """Resident memory in MB."""
        _, body = asyncio.run(_once(self.port, request_bytes(b"", "/metrics", "GET")))
        return float(re.search(r"^process_resident_memory_bytes (\d+)", body.decode(), re.MULTILINE)[1]) / 1e6

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        if status := self.process.wait(60):
            raise SystemExit(f"the server ended with status {status}")


class Client:
    """One connection, opened again when the server has closed it."""

    def __init__(self, port: int):
        self.port = port
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, message: bytes) -> tuple[int, bytes]:
        """(status, body) of one request."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writer.write(message)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        body = await (self._reader.readexactly(int(length[1])) if length else self._reader.read())
        if not length or b"connection: close" in head.lower():
            await self.close()
        return int(head.split(b" ", 2)[1]), body

    async def drop(self, message: bytes) -> None:
        """Sends and leaves."""
        await self.close()
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(message)
        await writer.drain()
        writer.transport.abort()

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


async def _once(port: int, message: bytes) -> tuple[int, bytes]:
    client = Client(port)
    answer = await asyncio.wait_for(client.ask(message), 60)
    await client.close()
    return answer


class Load:
    """Rows with their right answers, and clients that ask for them."""

    def __init__(self, rows: list[tuple[str, str]], right: list[float]):
        self.messages = [pair_bytes(*row) for row in rows]
        self.right = right

    def check(self, number: int, status: int, body: bytes) -> None:
        """Ends the benchmark when an answer is not the Python call's."""
        if status != 200:
            raise SystemExit(f"row {number}: status {status}: {body[:300]!r}")
        (answer,) = json.loads(body)["answers"]
        if abs(answer["probability"] - self.right[number]) > LIMIT:
            raise SystemExit(f"row {number}: {answer['probability']}, where the Python call says {self.right[number]}")

    def sustained(self, port: int, clients: int, seconds: float) -> tuple[float, list[float]]:
        """Requests a second, and the milliseconds of each."""
        return asyncio.run(self._sustained(port, clients, seconds))

    async def _sustained(self, port: int, clients: int, seconds: float) -> tuple[float, list[float]]:
        spent: list[float] = []
        until = time.perf_counter() + seconds

        async def one(place: int) -> None:
            client, number = Client(port), place
            while time.perf_counter() < until:
                number = (number + clients) % len(self.messages)
                started = time.perf_counter()
                status, body = await client.ask(self.messages[number])
                spent.append((time.perf_counter() - started) * 1000)
                self.check(number, status, body)
            await client.close()

        started = time.perf_counter()
        await asyncio.wait_for(asyncio.gather(*map(one, range(clients))), seconds + 60)
        return len(spent) / (time.perf_counter() - started), spent

    def mixed(self, port: int, count: int, clients: int, share: float, dice: random.Random) -> Counter[str]:
        """How many requests of each kind were sent; any wrong answer ends the benchmark."""
        kinds = dice.choices(["good", *BAD], [1 - share, *[share / len(BAD)] * len(BAD)], k=count)
        return asyncio.run(self._mixed(port, kinds, clients, dice))

    async def _mixed(self, port: int, kinds: list[str], clients: int, dice: random.Random) -> Counter[str]:
        queue = iter(enumerate(kinds))
        done: Counter[str] = Counter()

        async def one() -> None:
            client = Client(port)
            for number, kind in queue:
                if kind == "good":
                    number %= len(self.messages)
                    self.check(number, *await client.ask(self.messages[number]))
                else:
                    await self._bad(client, kind, dice)
                done[kind] += 1
            await client.close()

        await asyncio.wait_for(asyncio.gather(*(one() for _ in range(clients))), 600)
        return done

    async def _bad(self, client: Client, kind: str, dice: random.Random) -> None:
        make, expected = BAD[kind]
        if expected is None:
            return await client.drop(make(dice))
        try:
            status, body = await client.ask(make(dice))
        except (ConnectionError, asyncio.IncompleteReadError):
            await client.close()
            if kind != "a body too large":  # refused and closed while it was still being sent
                raise SystemExit(f"{kind}: the connection broke") from None
            return None
        if status != expected:
            raise SystemExit(f"{kind}: status {status}, not {expected}: {body[:300]!r}")
        if kind != "no HTTP" and not json.loads(body)["error"]["message"]:
            raise SystemExit(f"{kind}: a refusal without a message: {body[:300]!r}")
        return None


def shown(spent: list[float]) -> str:
    cuts = statistics.quantiles(spent, n=100)
    return f"median {cuts[49]:.1f} ms, 99th percentile {cuts[98]:.1f} ms"


def right_answers(folder: str, data_dir: str, count: int) -> tuple[list[tuple[str, str]], list[float]]:
    """Rows of dev and the probability of "1" that the Python call gives each."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from albert_zh.serve.classifier import Classifier

    classifier = Classifier(folder)
    if classifier.task.kind != "pair" or classifier.labels != ("0", "1"):
        raise SystemExit(f"{folder}: a model of pairs with labels 0 and 1 is needed.")
    rows = [(row.text_a, row.text_b) for row in classifier.task.read("dev", data_dir)[:count]]
    return rows, [prediction.probabilities[1] for prediction in classifier.predict(rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("finetuned")
    parser.add_argument("data_dir")
    parser.add_argument("--rows", type=int, default=1000, help="rows of dev that are asked for")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=10, help="of each number of clients")
    parser.add_argument("--rounds", type=int, default=5, help="turns of the comparison with batches of one request")
    parser.add_argument("--round_seconds", type=float, default=4)
    parser.add_argument("--requests", type=int, default=10_000, help="of the part with malformed ones")
    parser.add_argument("--bad_share", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=12345)
    arguments = parser.parse_args()
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores; load before anything is started, over 1, 5 and 15 minutes: {load}", flush=True)
    work = Load(*right_answers(arguments.finetuned, arguments.data_dir, arguments.rows))
    servers = [Server(arguments.finetuned), Server(arguments.finetuned, "--max_batch_size=1")]
    try:
        measure(work, *servers, arguments)
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.stop()
    print("both servers stopped with status 0")


def measure(work: Load, together: Server, alone: Server, arguments: argparse.Namespace) -> None:
    for server in (together, alone):
        work.sustained(server.port, 8, 2)  # warm
    print("\n1. Sustained, answers equal to the Python call's")
    for clients in arguments.clients:
        rate, spent = work.sustained(together.port, clients, arguments.seconds)
        print(f"  {clients:3} clients: {rate:6.1f} requests/s, {shown(spent)} ({len(spent)} requests)", flush=True)

    print("\n2. Batches against batches of one request, requests/s, median (least to most) of the rounds, in turns")
    for clients in arguments.clients:
        rates: dict[str, list[float]] = {"together": [], "alone": []}
        for number in range(arguments.rounds):
            turns = [("together", together), ("alone", alone)]
            for name, server in turns if number % 2 else turns[::-1]:
                rates[name].append(work.sustained(server.port, clients, arguments.round_seconds)[0])
        ratios = [one / other for one, other in zip(rates["together"], rates["alone"], strict=True)]
        cells = [
            f"{name} {statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
            for name, values in {**rates, "ratio": ratios}.items()
        ]
        print(f"  {clients:3} clients: {', '.join(cells)}", flush=True)

    print(f"\n3. {arguments.requests} requests by 32 clients, {arguments.bad_share:.0%} of them bad")
    dice, sent = random.Random(arguments.seed), Counter()
    memory = [together.memory()]
    for part in range(5):
        count = arguments.requests * (part + 1) // 5 - arguments.requests * part // 5
        sent += work.mixed(together.port, count, 32, arguments.bad_share, dice)
        memory.append(together.memory())
    print(f"  {sent['good']} good ones, each answered as the Python call answers")
    bad = ", ".join(f"{name} {sent[name]} ({BAD[name][1] or 'left'})" for name in BAD)
    print(f"  {sent.total() - sent['good']} bad ones, each refused as it must be: {bad}")
    print(f"  resident memory after each fifth: {', '.join(f'{value:.0f}' for value in memory)} MB")


if __name__ == "__main__":
    main()
