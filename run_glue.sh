#!/usr/bin/env bash
# GLUE, nine English tasks: fine-tune each, keep the best by dev, answer test, pack the submission, report.
#   bash run_glue.sh                                        downloads data and albert_base_v2; all tasks but MRPC
#   bash run_glue.sh cola rte --sweep --seeds 3
#   bash run_glue.sh --data_dir DIR --model PATH            DIR holds a folder for each task: CoLA or cola, MRPC, ...
#   bash run_glue.sh --sample                               the rows in data/, no network needed
#   bash run_glue.sh --dry-run                              the plan: rows, runs, about how long
# MRPC has no archive to download: give its train.tsv, dev.tsv and test.tsv with --data_dir.
# Stopped, it goes on where it was when called again. Further flags: albert-zh clue --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"

run_suite "${BASH_SOURCE[0]}" --benchmark=glue --model=albert_base_v2 --output_dir=./output/glue -- "$@"
