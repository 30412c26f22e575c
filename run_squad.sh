#!/usr/bin/env bash
# SQuAD 1.1 and 2.0, reading comprehension: fine-tune, keep the best by dev, answer, report.
#   bash run_squad.sh                                       downloads the questions and albert_base_v2
#   bash run_squad.sh squad2 --sweep --seeds 3
#   bash run_squad.sh cmrc2018 drcd --model=albert_tiny_zh  the Chinese ones
#   bash run_squad.sh --data_dir DIR --model PATH           DIR holds folders squad1 and squad2
#   bash run_squad.sh --sample                              the questions in data/, no network needed
#   bash run_squad.sh --dry-run                             the plan: rows, runs, about how long
# Stopped, it goes on where it was when called again. Further flags: albert-zh clue --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"

run_suite "${BASH_SOURCE[0]}" --benchmark=squad --model=albert_base_v2 --output_dir=./output/squad -- "$@"
