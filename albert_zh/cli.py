"""The command line: one command a row of COMMANDS, its flags made from its options dataclass, the right Python for it.

Nothing heavy is imported until a command is chosen, so ``--help`` answers at once. The code before
``_use_environment``, that of ``flags`` and ``files`` too, also runs under Pythons the project does not support, in
order to say so.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import select
import sys
from collections.abc import Sequence

from albert_zh.files import InputError
from albert_zh.flags import command_help, nearest, parse_options

#: Command -> (module, options class, function of that module or "module:function", one line of help).
COMMANDS = {
    "create-data": (
        "albert_zh.pretrain.create",
        "CreateDataOptions",
        "run",
        "text files -> pretraining records (TFRecord) and their manifest",
    ),
    "pretrain": (
        "albert_zh.training.options",
        "PretrainOptions",
        "albert_zh.training.pretraining:run",
        "records -> pretrained checkpoint, exact resume",
    ),
    "finetune": (
        "albert_zh.training.options",
        "FinetuneOptions",
        "albert_zh.training.sweep:run",
        "checkpoint and labelled rows -> best model, metrics, predictions",
    ),
    "squad": (
        "albert_zh.training.squad_options",
        "SquadOptions",
        "albert_zh.training.squad:run",
        "passages and questions -> best model, answers, n-best, null odds",
    ),
    "create-finetuning-data": (
        "albert_zh.prepared",
        "PrepareOptions",
        "run",
        "rows of a task -> records (TFRecord) for the runners, and a JSON about them",
    ),
    "clue": (
        "albert_zh.suite.options",
        "SuiteOptions",
        "albert_zh.suite.run:run",
        "many tasks: data, model, rates, seeds -> best models, submission, report",
    ),
    "predict": (
        "albert_zh.serve.options",
        "PredictOptions",
        "albert_zh.serve.predictor:run",
        "fine-tuned folder and rows -> answers",
    ),
    "similarity": (
        "albert_zh.serve.options",
        "SimilarityOptions",
        "albert_zh.serve.similarity:run",
        "two sentences -> how likely they mean the same",
    ),
    "serve": (
        "albert_zh.server.options",
        "ServeOptions",
        "albert_zh.server.run:run",
        "models -> a JSON API, and a page to try them in a browser",
    ),
    "export": (
        "albert_zh.export.options",
        "ExportOptions",
        "albert_zh.export.run:run",
        "a model -> a file for phones, TensorFlow Serving, ONNX Runtime, transformers; checked by numbers",
    ),
    "benchmark-litert": (
        "albert_zh.export.options",
        "BenchmarkOptions",
        "albert_zh.export.benchmark:run",
        "an exported file -> its latency, memory and load time here",
    ),
    "convert": (
        "albert_zh.convert.options",
        "ConvertOptions",
        "albert_zh.conversion:run",
        "a model of any layout -> another layout, checked by numbers",
    ),
    "report": ("albert_zh.report.collect", "ReportOptions", "run", "finished folders -> one page, report.html"),
    "inspect": ("albert_zh.pretrain.inspect", "InspectOptions", "run", "show the instances of a record file"),
    "build-vocab": (
        "albert_zh.text.vocabulary",
        "BuildVocabOptions",
        "run",
        "Unicode tables and text -> vocab.txt and its coverage",
    ),
    "changes": (
        "albert_zh.changes",
        "ChangesOptions",
        "run",
        "ALBERT's three changes to BERT in numbers and on text, parameters of every size",
    ),
    "download": ("albert_zh.hub.download", "DownloadOptions", "run", "fetch published models and data sets by name"),
    "models": ("albert_zh.hub.listing", "ListOptions", "run", "list the published models and data sets"),
}

#: Modules every command needs; a Python without them is not the project's.
NEEDED_MODULES = ("keras", "numpy", "jieba", "sentencepiece", "google_crc32c", "requests", "tqdm", "safetensors")
#: Rooms whose commands run TensorFlow.
TENSORFLOW_ROOMS = tuple(
    f"albert_zh.{room}" for room in ("training.", "serve.", "server.", "export.", "convert.", "conversion", "suite.")
)

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main(argv: Sequence[str] | None = None, program: str | None = None) -> int:
    """Runs one command and returns the exit status: 0 done, 2 input that cannot be used, 130 stopped by Ctrl-C.

    Args:
        argv: the words after the program's name; ``sys.argv[1:]`` when None.
        program: how the user started a script that stands for one command, such as ``run_pretraining.py``; None for
            ``albert-zh COMMAND``.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(words, program)
        sys.stdout.flush()
        return status
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; nothing half-written was left; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        if not _reader_gone():
            raise  # another pipe, such as a worker's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _reader_gone() -> bool:
    """Whether whoever read our output has left, as ``head`` does: no fault of ours."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _dispatch(words: list[str], program: str | None) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        if len(words) < 2 or words[0] != "help":
            print(_overview())
            return 0 if words else 2
        words = [words[1], "--help"]
    if words[0] == "--version":
        print(_version())
        return 0
    command = words[0].replace("_", "-")
    if command not in COMMANDS:
        raise InputError(f"unknown command {words[0]!r}.{nearest(command, COMMANDS)} albert-zh --help lists all.")
    module_name, class_name, function_name, summary = COMMANDS[command]
    _use_environment(module_name, command, words[1:], program)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's notes about instruction sets help no user
    module = importlib.import_module(module_name)
    options_class = getattr(module, class_name)
    shown = os.path.basename(program) if program else f"albert-zh {command}"
    if any(word in ("-h", "--help") for word in words[1:]):
        print(command_help(options_class, shown, summary))
        return 0
    options, notices = parse_options(options_class, words[1:], shown)
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)
    home, _, function_name = function_name.rpartition(":")
    if (home or module_name).startswith(TENSORFLOW_ROOMS):
        _use_tensorflow()
    from albert_zh.terminal import standard_error_held  # here: for a Python that the project supports

    with standard_error_held():
        function = getattr(importlib.import_module(home) if home else module, function_name)
    function(options)
    return 0


def _use_environment(module_name: str, command: str, words: list[str], program: str | None) -> None:
    """Starts again with the checkout's own ``.venv`` when this Python lacks the packages, or says how to get them."""
    needed = (*NEEDED_MODULES, *(["tensorflow"] if module_name.startswith(TENSORFLOW_ROOMS) else []))
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    too_old = sys.version_info < (3, 11)
    if not missing and not too_old:
        return
    environment = os.path.join(CHECKOUT, ".venv")
    python = os.path.join(environment, "bin", "python")
    inside = os.path.realpath(sys.prefix) == os.path.realpath(environment)
    if os.access(python, os.X_OK) and not inside:
        sys.stdout.flush()
        os.execv(python, [python, *([program] if program else ["-m", "albert_zh", command]), *words])
    version = ".".join(map(str, sys.version_info[:2]))
    lack = f"is version {version}; 3.11 to 3.13 is needed" if too_old else f"has no {', '.join(missing)}"
    raise InputError(
        f"this Python ({sys.executable}) {lack}. In {CHECKOUT} run:\n"
        "  bash quickstart.sh            makes .venv with all packages, which every script then uses\n"
        "or, in an environment of your own:\n"
        "  pip install -e '.[cpu]'       with an NVIDIA GPU: '.[cuda]'"
    )


def _use_tensorflow() -> None:
    """Keras reads the variable when it is imported, before ~/.keras/keras.json; its other backends run nothing here."""
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        print(f"note: KERAS_BACKEND={backend}: not used, albert-zh runs on tensorflow", file=sys.stderr)
    os.environ["KERAS_BACKEND"] = "tensorflow"


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = ["usage: albert-zh COMMAND [--flag=value ...]      (also: python -m albert_zh COMMAND ...)", ""]
    lines += [f"  {name:<{width}}  {summary}" for name, (_, _, _, summary) in COMMANDS.items()]
    return "\n".join([*lines, "", "albert-zh COMMAND --help lists the flags of a command."])


def _version() -> str:
    from albert_zh import __version__

    return f"albert-zh {__version__}"
