"""One run's files: who may write them, what of an earlier try can be used again, and the manifest that ends the run.

While a run goes on, ``.OUTPUT.parts/`` beside its first output holds finished shards. An output file is put together as
soon as its shards are there, and the manifest is written last: outputs with a manifest are complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from albert_zh.files import InputError, atomic_writer, locked, read_json, sha256, write_json
from albert_zh.pretrain.shards import ShardSpec

_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class RunFiles:
    """The files of one run.

    Attributes:
        outputs: record files for training, in order.
        dev_output: record file for evaluation, or None.
        identity: all that the records' bytes depend on, as JSON values.
    """

    outputs: tuple[Path, ...]
    dev_output: Path | None
    identity: dict[str, Any]

    @property
    def key(self) -> str:
        """Hash of the identity: equal keys give equal bytes."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    @property
    def all_outputs(self) -> tuple[Path, ...]:
        """Training files, then the one for evaluation."""
        return (*self.outputs, self.dev_output) if self.dev_output else self.outputs

    @property
    def manifest(self) -> Path:
        """``OUTPUT.manifest.json`` of the first output."""
        return self.outputs[0].with_name(self.outputs[0].name + ".manifest.json")

    @property
    def parts(self) -> Path:
        """The folder of finished shards."""
        return parts_folder(self.outputs[0])

    @contextlib.contextmanager
    def claim(self, overwrite: bool) -> Iterator[dict[str, Any] | None]:
        """Holds the files for this run; yields the manifest if an equal run has finished, else None.

        Raises:
            InputError: the files hold another run's records, finished or not, and ``overwrite`` is False; or another
                process is writing them.
        """
        finished = read_json(self.manifest) if self.manifest.exists() else None
        if finished and finished.get("run") == self.key:
            entries = finished["outputs"]
            if len(entries) == len(self.all_outputs) and all(map(_is_intact, self.all_outputs, entries)):
                yield finished
                return
        if not overwrite:
            self._refuse_another_run(finished)
        with locked(self.parts / "lock", self._refuse_second_process, "Choose another folder"):
            if self._unfinished_identity() not in (None, self.identity):
                self._empty_parts()
            self.manifest.unlink(missing_ok=True)
            for output in (*self.all_outputs, self.manifest):
                for left in output.parent.glob(f".{output.name}.*.tmp"):
                    left.unlink(missing_ok=True)
            self.sweep()
            write_json(self.parts / "run.json", self.identity)
            try:
                yield None
            finally:
                self.sweep()
                if self.parts.exists() and {path.name for path in self.parts.iterdir()} <= {"run.json", "lock"}:
                    self._remove_parts()

    def _refuse_second_process(self) -> None:
        raise InputError(
            f"{self.outputs[0]}: another process is writing it. Wait for it, or name another --output_file."
        )

    def sweep(self) -> None:
        """Removes half-written files of workers that are gone."""
        for left in self.parts.glob(".*.tmp"):
            left.unlink(missing_ok=True)

    def joined(self) -> dict[int, dict[str, Any]]:
        """Manifest entries, by number, of the training files an earlier try put together and nobody changed since."""
        entries = {}
        for number in range(len(self.outputs)):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                entry = json.loads(self._entry_path(number).read_bytes())
                if _is_intact(self.outputs[number], entry):
                    entries[number] = entry
        return entries

    def shard_report(self, spec: ShardSpec, joined: bool) -> dict[str, Any] | None:
        """What ``process_shard`` reported for the shard in an earlier try, if its files are whole; else None.

        ``joined``: its training records are in an output file by now.
        """
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            report = json.loads(spec.path("json").read_bytes())
            if all(sha256(spec.path(kind)) == report[kind]["sha256"] for kind in ("train", "dev")[joined:]):
                return report
        return None

    def join(self, number: int, reports: Sequence[dict[str, Any]], shards: Sequence[ShardSpec]) -> dict[str, Any]:
        """Puts an output file together from its shards, in order, and then removes their copies; returns its entry.

        Arguments:
            number: place among ``all_outputs``.
            reports: what ``process_shard`` returned for each shard.
            shards: the specs, in the same order.
        """
        path = self.all_outputs[number]
        kind = "train" if number < len(self.outputs) else "dev"
        digest = hashlib.sha256()
        with atomic_writer(path, "wb") as stream:
            for spec in shards:
                with open(spec.path(kind), "rb") as part:
                    while block := part.read(_COPY_BYTES):
                        stream.write(block)
                        digest.update(block)
        entry = {
            "file": str(path),
            "kind": kind,
            "instances": sum(report[kind]["instances"] for report in reports),
            "bytes": sum(report[kind]["bytes"] for report in reports),
            "sha256": digest.hexdigest(),
            "shards": [report["number"] for report in reports],
        }
        write_json(self._entry_path(number), entry)
        if kind == "train":  # what is held out is joined last, just before all parts go
            for spec in shards:
                spec.path(kind).unlink(missing_ok=True)
        return entry

    def finish(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Writes the manifest and removes the parts; returns it as written."""
        manifest = {"run": self.key, **manifest}
        write_json(self.manifest, manifest)
        self._remove_parts()
        return manifest

    def discard(self) -> None:
        """Removes all that this run wrote: it came to nothing."""
        for path in self.all_outputs:
            path.unlink(missing_ok=True)
        self._remove_parts()

    def _empty_parts(self) -> None:
        for left in self.parts.iterdir():
            if left.name != "lock":  # without its file the lock held would keep nobody out
                left.unlink()

    def _remove_parts(self) -> None:
        shutil.rmtree(self.parts, ignore_errors=True)

    def _entry_path(self, number: int) -> Path:
        return self.parts / f"output-{number:06d}.json"

    def _unfinished_identity(self) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError):
            return json.loads((self.parts / "run.json").read_bytes())
        return None

    def _refuse_another_run(self, finished: dict[str, Any] | None) -> None:
        advice = "Name another --output_file, or replace it with --overwrite=True."
        if finished is not None:
            if finished.get("run") != self.key:
                differences = _differences(finished.get("identity", {}), self.identity)
                raise InputError(f"{self.manifest}: holds the records of another run ({differences}). {advice}")
            return
        unfinished = self._unfinished_identity()
        if unfinished is not None and unfinished != self.identity:
            differences = _differences(unfinished, self.identity)
            raise InputError(
                f"{self.parts}: holds an unfinished run with other options ({differences}). "
                f"Go on with those options. {advice}"
            )
        if unfinished is None:
            for path in self.all_outputs:
                if path.exists():
                    raise InputError(f"{path}: exists, without a manifest that says what it holds. {advice}")


def find_manifest(record_file: Path) -> dict[str, Any] | None:
    """The manifest in a record file's folder that lists it, if there is one."""
    own = record_file.with_name(record_file.name + ".manifest.json")
    for path in dict.fromkeys((own, *sorted(record_file.parent.glob("*.manifest.json")))):
        if path.is_file():
            manifest = read_json(path)
            if any(Path(entry["file"]).name == record_file.name for entry in manifest.get("outputs", ())):
                return manifest
    return None


def find_manifests(record_files: Sequence[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each manifest that lists some of the files, with the first of them; one of many shards is read once."""
    listed: set[Path] = set()
    for file in record_files:
        if file not in listed and (manifest := find_manifest(file)):
            listed |= {file.with_name(Path(entry["file"]).name) for entry in manifest["outputs"]}
            yield file, manifest


def parts_folder(output: Path) -> Path:
    """Where the finished shards of a run lie, by its first output file."""
    return output.with_name(f".{output.name}.parts")


def _is_intact(path: Path, entry: dict[str, Any]) -> bool:
    """True when the file is there and holds the bytes its manifest entry says."""
    return path.is_file() and path.stat().st_size == entry["bytes"] and sha256(path) == entry["sha256"]


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Which values differ between two identities, in words."""
    flat_old, flat_new = _flat(old), _flat(new)
    changed = [
        f"{name}: there {flat_old.get(name, 'nothing')}, here {flat_new.get(name, 'nothing')}"
        for name in dict.fromkeys((*flat_old, *flat_new))
        if flat_old.get(name) != flat_new.get(name)
    ]
    more = f"; and {len(changed) - 3} more" if len(changed) > 3 else ""
    return "; ".join(changed[:3]) + more


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: leaf for k, v in value.items() for key, leaf in _flat(v, f"{name}.{k}" if name else k).items()}
    if isinstance(value, list):
        return {key: leaf for i, v in enumerate(value) for key, leaf in _flat(v, f"{name}[{i}]").items()}
    return {name: value[:12] + "…" if isinstance(value, str) and len(value) == 64 else value}
