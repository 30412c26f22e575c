#!/usr/bin/env bash
# CLUE's sentence tasks and others: fine-tune each, keep the best by dev, answer test, pack the submission, report.
#   bash run_classifier_clue.sh                             downloads data and albert_tiny_zh; the leaderboard's tasks
#   bash run_classifier_clue.sh tnews afqmc --sweep --seeds 3
#   bash run_classifier_clue.sh --model PATH --data_dir DIR  DIR holds a folder for each task
#   bash run_classifier_clue.sh --sample                    the rows in data/, no network needed
#   bash run_classifier_clue.sh --dry-run                   the plan: rows, runs, about how long
# Stopped, it goes on where it was when called again. Further flags: albert-zh clue --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"

run_suite "${BASH_SOURCE[0]}" -- "$@"
