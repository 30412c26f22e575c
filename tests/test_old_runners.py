"""Every flag of the two old fine-tuning runners works, or is taken with a note that says why it does nothing."""

from pathlib import Path

import pytest

from albert_zh.cli import CHECKOUT
from albert_zh.flags import parse_options
from albert_zh.training.options import FinetuneOptions

SHARED = (
    "data_dir task_name vocab_file output_dir init_checkpoint do_lower_case max_seq_length do_train do_eval do_predict "
    "train_batch_size eval_batch_size predict_batch_size learning_rate save_checkpoints_steps iterations_per_loop "
    "use_tpu tpu_name tpu_zone gcp_project master num_tpu_cores"
).split()
BRIGHTMART = [*SHARED, "bert_config_file", "num_train_epochs", "warmup_proportion"]
GOOGLE = [
    *SHARED,
    *"albert_config_file spm_model_file cached_dir albert_hub_module_handle train_step warmup_step".split(),
    *"keep_checkpoint_max optimizer".split(),
]
VALUES = {"task_name": "lcqmc", "optimizer": "adamw", "learning_rate": "1e-4", "warmup_proportion": "0.1"}
WITHOUT_EFFECT = {*("predict_batch_size", "keep_checkpoint_max", "iterations_per_loop", "num_tpu_cores", "master")}


def value(name):
    if name.startswith(("do_", "use_")):
        return "True"
    whole = name.endswith(("_size", "_length", "_step", "_steps", "_max", "_loop", "_cores", "_epochs"))
    return VALUES.get(name, "100" if whole else "somewhere")


@pytest.mark.parametrize("names", [BRIGHTMART, GOOGLE], ids=["brightmart", "google"])
def test_a_command_line_with_every_flag_is_understood(names):
    words = [f"--{name}={value(name)}" for name in names if name not in ("init_checkpoint", "bert_config_file")]
    words += ["--init_checkpoint=somewhere"] if "albert_hub_module_handle" not in names else []
    options, notices = parse_options(FinetuneOptions, words, "run_classifier.py")
    assert (options.task_name, options.use_tpu, options.eval_steps) == ("lcqmc", True, 100)
    told = {name for name in WITHOUT_EFFECT if any(f"--{name}" in notice for notice in notices)}
    assert told == WITHOUT_EFFECT & set(names)
    assert len(notices) == len(told)


@pytest.mark.parametrize("readme", ["README.md", "README_zh.md"])
def test_the_readme_lists_every_flag(readme):
    text = (Path(CHECKOUT) / readme).read_text(encoding="utf-8")
    table = text[text.index("| old flag |" if readme == "README.md" else "| 旧参数 |") :]
    table = table[: table.index("\n\n")]
    assert [name for name in {*BRIGHTMART, *GOOGLE} if f"`--{name}`" not in table] == []
