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

sample=false model=false
for word in "$@"; do
  case "$word" in
    -h | --help)
      sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --sample | --sample=true | --sample=True) sample=true ;;
    --model | --model=* | --model_dir* | --model-dir* | --init_checkpoint* | --init-checkpoint*) model=true ;;
  esac
done

ensure_environment
start=()
if "$sample" && ! "$model"; then
  if [[ -d "$ROOT/quickstart_output/pretrained" ]]; then
    start=(--model="$ROOT/quickstart_output/pretrained")
  else
    say "No pretrained model is here (bash quickstart.sh makes one): starting from random weights, expect little."
    start=(--model=none --bert_config_file="$ROOT/albert_config/albert_config_nano_google.json"
      --vocab_file="$ROOT/albert_config/vocab.txt")
  fi
fi
exec "$PYTHON" -m albert_zh clue ${start[@]+"${start[@]}"} "$@"
