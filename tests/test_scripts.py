"""The shell scripts, run with a stand-in for Python that writes down how it was called."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from albert_zh.cli import CHECKOUT
from albert_zh.config import AlbertConfig

ROOT = Path(CHECKOUT)
SCRIPTS = [*sorted(ROOT.glob("*.sh")), ROOT / "scripts" / "common.sh", ROOT / ".ci" / "run"]

#: What this machine asks for when nvidia-smi does not answer.
KIND = "cuda" if Path("/proc/driver/nvidia/version").exists() else "cpu"

#: Answers the scripts' questions and makes a stand-in environment; every call is a line of $CALLS.
STAND_IN = """#!/bin/bash
printf '%s\\x1f' "$@" >> "$CALLS"; echo >> "$CALLS"
case "$*" in
  "-c "*) exit ${FITS:-0} ;;
  "-m venv "*) mkdir -p "${@: -1}/bin"; cp "$0" "${@: -1}/bin/python" ;;
  "-m pip install "*) echo "Downloading https://pypi/keras-3.15.1-py3-none-any.whl (1.5 MB)"; echo "${PIP_SAYS:-}"
    exit ${PIP_STATUS:-0} ;;
  "-m albert_zh download "*) [[ -z "${NO_NETWORK:-}" ]] || { echo "error: what to fetch" >&2; exit 2; }
    printf '/got/%s\\n' "${@:4}" ;;
esac
"""


class Stage:
    """A copy of the scripts, the stand-in for Python first in PATH, and what was called."""

    def __init__(self, folder: Path):
        self.root = folder / "check out"
        self.elsewhere = folder / "elsewhere"
        self.tools = folder / "tools"
        self.calls_file = folder / "calls"
        for path in (self.root / "scripts", self.root / "data" / "lcqmc", self.elsewhere, self.tools):
            path.mkdir(parents=True)
        for path in (*ROOT.glob("*.sh"), ROOT / "pyproject.toml"):
            shutil.copy(path, self.root)
        shutil.copy(ROOT / "scripts" / "common.sh", self.root / "scripts")
        for name in ("python3", "python3.11", "python3.12", "python3.13"):
            self.tool(name, STAND_IN)
        self.tool("nvidia-smi", "#!/bin/bash\nexit ${NVIDIA:-1}\n")

    def tool(self, name: str, text: str) -> Path:
        path = self.tools / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def run(self, script: str, *words: str, own: bool = True, **variables: str) -> subprocess.CompletedProcess:
        """Runs a script from another folder; ``own`` names the stand-in as ALBERT_ZH_PYTHON."""
        self.calls_file.write_text("")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ALBERT_ZH")}
        environment |= {"PATH": f"{self.tools}:/usr/bin:/bin", "CALLS": str(self.calls_file), **variables}
        if own:
            environment["ALBERT_ZH_PYTHON"] = str(self.tools / "python3")
        return subprocess.run(
            ["bash", str(self.root / script), *words],
            cwd=self.elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def calls(self) -> list[list[str]]:
        lines = self.calls_file.read_text().splitlines()
        return [call for line in lines if (call := line.split("\x1f")[:-1]) and call[0] not in ("-c", "--version")]


@pytest.fixture
def stage(tmp_path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_bash_that_stops_at_the_first_error(script):
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text(encoding="utf-8")
    assert script.name == "common.sh" or "set -euo pipefail" in text
    assert "eval " not in text


def test_create_pretrain_data_makes_the_published_records(stage):
    done = stage.run("create_pretrain_data.sh", "--dupe_factor=2", "--output_file", "b c.tfrecord")
    assert done.returncode == 0, done.stderr
    (call,) = stage.calls
    assert call[:3] == ["-m", "albert_zh", "create-data"]
    for word in (
        "--do_whole_word_mask=True",
        f"--input_file={stage.root}/data/*.txt",
        f"--output_file={stage.root}/data/tf_pretrain.tfrecord",
        f"--vocab_file={stage.root}/albert_config/vocab.txt",
        "--max_seq_length=512",
        "--max_predictions_per_seq=51",
        "--masked_lm_prob=0.10",
    ):
        assert word in call
    assert call[-3:] == ["--dupe_factor=2", "--output_file", "b c.tfrecord"], "what the user typed comes last and wins"


def test_lcqmc_fetches_data_and_model_in_one_go_and_trains_by_the_recipe(stage):
    done = stage.run("run_classifier_lcqmc.sh", "--num_train_epochs=1")
    assert done.returncode == 0, done.stderr
    download, finetune = stage.calls
    assert download == ["-m", "albert_zh", "download", "lcqmc", "albert_tiny_zh"]
    assert finetune[:3] == ["-m", "albert_zh", "finetune"]
    for word in (
        "--task_name=lcqmc_pair",
        "--data_dir=/got/lcqmc",
        "--init_checkpoint=/got/albert_tiny_zh",
        "--max_seq_length=128",
        "--train_batch_size=64",
        "--learning_rate=1e-4",
        "--num_train_epochs=5",
        "--output_dir=./output/lcqmc",
    ):
        assert word in finetune
    assert finetune[-1] == "--num_train_epochs=1"


@pytest.mark.parametrize(
    ("words", "folder"), [(["--sample"], "lcqmc_sample"), (["--sweep", "--sample"], "lcqmc_sample_sweep")]
)
def test_lcqmc_gives_each_kind_of_run_a_folder_of_its_own(stage, words, folder):
    assert stage.run("run_classifier_lcqmc.sh", *words).returncode == 0
    assert f"--output_dir=./output/{folder}" in stage.calls[-1]


def test_lcqmc_without_a_network_stops_with_the_screen_of_the_download(stage):
    done = stage.run("run_classifier_lcqmc.sh", NO_NETWORK="1")
    assert done.returncode != 0
    assert done.stderr == "error: what to fetch\n"
    assert len(stage.calls) == 1


def test_the_suites_differ_in_their_benchmark_alone_and_what_the_user_typed_wins(stage):
    for script, own in (
        ("run_classifier_clue.sh", []),
        ("run_glue.sh", ["--benchmark=glue", "--model=albert_base_v2", "--output_dir=./output/glue"]),
    ):
        assert stage.run(script, "rte", "--model=x").returncode == 0
        assert stage.calls == [["-m", "albert_zh", "clue", *own, "rte", "--model=x"]]
        done = stage.run(script, "--sample")
        assert "starting from random weights" in done.stderr
        (call,) = stage.calls
        assert call[3 : 4 + len(own)] == [*own, "--model=none"]
        assert call[-1] == "--sample"
        pretrained = stage.root / "quickstart_output" / "pretrained"
        pretrained.mkdir(parents=True)
        assert stage.run(script, "--sample").returncode == 0
        assert f"--model={pretrained}" in stage.calls[0]
        pretrained.rmdir()
        pretrained.parent.rmdir()
        done = stage.run(script, "--help")
        assert f"bash {script} --sample" in done.stdout
        assert "set -euo" not in done.stdout
        assert not stage.calls


@pytest.mark.parametrize("form", ["{}={}", "{} {}"])
def test_lcqmc_takes_folders_of_one_s_own(stage, form):
    words = [word for flag in ("--data_dir", "--model_dir") for word in form.format(flag, stage.elsewhere).split()]
    assert stage.run("run_classifier_lcqmc.sh", *words).returncode == 0
    assert stage.calls[0][3:] == [str(stage.elsewhere), str(stage.elsewhere)]
    done = stage.run("run_classifier_lcqmc.sh", "--data_dir", "/not/there")
    assert done.returncode == 1
    assert "--data_dir /not/there: no such folder" in done.stderr
    assert stage.calls == []


def test_lcqmc_takes_a_folder_that_has_the_name_of_a_published_one(stage):
    for name in ("lcqmc", "albert_tiny_zh"):
        (stage.elsewhere / name).mkdir()
    assert stage.run("run_classifier_lcqmc.sh", "--data_dir=lcqmc", "--model_dir=albert_tiny_zh").returncode == 0
    assert stage.calls[-2] == ["-m", "albert_zh", "download", "./lcqmc", "./albert_tiny_zh"]


def test_lcqmc_sample_needs_no_network(stage):
    done = stage.run("run_classifier_lcqmc.sh", "--sample", NO_NETWORK="1")
    assert done.returncode == 0
    assert "random weights" in done.stderr
    (call,) = stage.calls
    assert f"--data_dir={stage.root}/data/lcqmc" in call
    assert f"--bert_config_file={stage.root}/albert_config/albert_config_tiny.json" in call
    (stage.root / "quickstart_output" / "pretrained").mkdir(parents=True)
    stage.run("run_classifier_lcqmc.sh", "--sample")
    assert f"--init_checkpoint={stage.root}/quickstart_output/pretrained" in stage.calls[0]
    assert not any(word.startswith("--bert_config_file") for word in stage.calls[0])


def test_lcqmc_sweeps_when_asked(stage):
    stage.run("run_classifier_lcqmc.sh", "--sweep", "--sample")
    assert stage.calls[0][-2:] == ["--sweep=true", "--learning_rates=2e-5,6e-5,1e-4"]
    assert "--sample" in stage.run("run_classifier_lcqmc.sh", "--help").stdout


def test_the_environment_is_made_once(stage):
    done = stage.run("create_pretrain_data.sh", own=False)
    assert done.returncode == 0, done.stderr
    assert [call[1] for call in stage.calls] == ["venv", "pip", "albert_zh"]
    assert stage.calls[1][-2:] == ["-e", f"{stage.root}[{KIND},serve,litert]"]
    assert "keras-3.15.1-py3-none-any.whl (1.5 MB)" in done.stderr
    assert "Downloading" not in done.stderr
    done = stage.run("create_pretrain_data.sh", own=False)
    assert [call[1] for call in stage.calls] == ["albert_zh"]
    assert done.stderr == ""


def test_new_requirements_or_the_tests_install_again(stage):
    stage.run("create_pretrain_data.sh", own=False)
    stage.run("run_tests.sh", "-k", "masking", own=False)
    assert [call[1] for call in stage.calls] == ["pip", "pip", "ruff", "ruff", "pytest"]
    assert stage.calls[1][-1] == f"{stage.root}[{KIND},serve,litert,onnx,test]"
    assert stage.calls[-1] == ["-m", "pytest", "-k", "masking"]
    stage.run("create_pretrain_data.sh", own=False)
    assert [call[1] for call in stage.calls] == ["albert_zh"], "what tests need is more than what a run needs"
    with open(stage.root / "pyproject.toml", "a") as stream:
        stream.write("\n")
    stage.run("create_pretrain_data.sh", own=False)
    assert [call[1] for call in stage.calls] == ["pip", "pip", "albert_zh"]


def test_an_nvidia_driver_asks_for_cuda_in_an_environment_of_its_own(stage):
    stage.run("create_pretrain_data.sh", own=False, NVIDIA="0")
    assert stage.calls[1][-1] == f"{stage.root}[cuda,serve,litert]"
    stage.run("create_pretrain_data.sh", own=False, NVIDIA="1")
    if KIND == "cpu":
        assert [call[1] for call in stage.calls] == ["venv", "pip", "albert_zh"]


def test_a_failed_installation_shows_pip_s_words_and_is_done_again(stage):
    done = stage.run("create_pretrain_data.sh", own=False, PIP_STATUS="1", PIP_SAYS="ERROR: no such version")
    assert done.returncode == 1
    assert "ERROR: no such version" in done.stderr
    assert "PIP_INDEX_URL" in done.stderr
    assert "albert_zh" not in [call[1] for call in stage.calls]
    stage.run("create_pretrain_data.sh", own=False)
    assert [call[1] for call in stage.calls] == ["pip", "pip", "albert_zh"]


def test_without_a_fitting_python_the_way_out_is_told(stage):
    done = stage.run("create_pretrain_data.sh", own=False, FITS="1")
    assert done.returncode == 1
    assert "no Python 3.11 to 3.13 was found" in done.stderr
    assert "ALBERT_ZH_PYTHON" in done.stderr
    done = stage.run("create_pretrain_data.sh", FITS="1")
    assert "is not a Python 3.11 to 3.13" in done.stderr


def test_the_build_calls_the_tests():
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "exec bash run_tests.sh"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_requirements_and_pyproject_name_the_same_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    assert listed == project["optional-dependencies"]["cpu"] + project["dependencies"]
    assert {"tensorflow", "jieba", "sentencepiece", "numpy", "requests"} <= {
        line.split("=")[0].split(">")[0] for line in listed
    }


SIZES = {  # layers, H, heads, FFN
    "tiny": (4, 312, 12, 1248),
    "small": (6, 384, 12, 1536),
    "base": (12, 768, 12, 3072),
    "large": (24, 1024, 16, 4096),
    "xlarge": (24, 2048, 32, 8192),
    "xxlarge": (12, 4096, 64, 16384),
}


@pytest.mark.parametrize("family", ["brightmart", "google"])
@pytest.mark.parametrize("size", SIZES)
def test_the_config_of_every_size_loads_as_published(size, family):
    suffix = "_google" if family == "google" else ""
    config = AlbertConfig.from_json(ROOT / "albert_config" / f"albert_config_{size}{suffix}.json")
    layers, hidden, heads, feed_forward = SIZES[size]
    googles_own = family == "google" and size not in ("tiny", "small")
    assert config == AlbertConfig(
        vocab_size=21128,
        embedding_size=128,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=16 if googles_own and size in ("xlarge", "xxlarge") else heads,
        intermediate_size=feed_forward,
        family=family,
        hidden_act="relu" if googles_own else "gelu",
        ln_type="preln" if family == "brightmart" and size == "xxlarge" else "postln",
    )
