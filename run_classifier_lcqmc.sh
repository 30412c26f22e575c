#!/usr/bin/env bash
# LCQMC, sentence pairs: fine-tune, evaluate, predict.
#   bash run_classifier_lcqmc.sh                            downloads the data and albert_tiny_zh
#   bash run_classifier_lcqmc.sh --data_dir DIR --model_dir DIR
#   bash run_classifier_lcqmc.sh --sample                   the rows in data/lcqmc, no network needed
#   bash run_classifier_lcqmc.sh --sweep                    learning rates 2e-5, 6e-5 and 1e-4; the best by dev is kept
# Further flags go to `albert-zh finetune`, where the last of a kind wins.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"

data_dir="" model_dir="" sample=false sweep=false
passed=()
while (($#)); do
  case "$1" in
    -h | --help)
      sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --sample) sample=true ;;
    --sweep) sweep=true ;;
    --data_dir=* | --data-dir=*) data_dir="${1#*=}" ;;
    --model_dir=* | --model-dir=*) model_dir="${1#*=}" ;;
    --data_dir | --data-dir | --model_dir | --model-dir)
      (($# > 1)) || fail "$1 needs a folder."
      if [[ "$1" == --data* ]]; then data_dir="$2"; else model_dir="$2"; fi
      shift
      ;;
    *) passed+=("$1") ;;
  esac
  shift
done
[[ -z "$data_dir" || -d "$data_dir" ]] || fail "--data_dir $data_dir: no such folder."
[[ -z "$model_dir" || -d "$model_dir" ]] || fail "--model_dir $model_dir: no such folder."

ensure_environment
output=./output/lcqmc # a folder holds one run
if "$sample"; then output+=_sample; fi
if "$sweep"; then
  output+=_sweep
  passed=("--sweep=true" "--learning_rates=2e-5,6e-5,1e-4" ${passed[@]+"${passed[@]}"})
fi
start=()
if "$sample"; then
  data_dir="${data_dir:-$ROOT/data/lcqmc}"
  if [[ -z "$model_dir" && -d "$ROOT/quickstart_output/pretrained" ]]; then
    model_dir="$ROOT/quickstart_output/pretrained"
  fi
  if [[ -z "$model_dir" ]]; then
    say "No pretrained model is here (bash quickstart.sh makes one): starting from random weights, expect little."
    start=(--bert_config_file="$ROOT/albert_config/albert_config_tiny.json" --vocab_file="$ROOT/albert_config/vocab.txt")
  fi
else
  # One call for both, so that without a network one screen says all there is to fetch.
  # A bare name would be that of a published one; ./ makes it the user's folder.
  if [[ -n "$data_dir" && "$data_dir" != /* ]]; then data_dir="./$data_dir"; fi
  if [[ -n "$model_dir" && "$model_dir" != /* ]]; then model_dir="./$model_dir"; fi
  fetched="$("$PYTHON" -m albert_zh download "${data_dir:-lcqmc}" "${model_dir:-albert_tiny_zh}")"
  data_dir="$(sed -n 1p <<<"$fetched")"
  model_dir="$(sed -n 2p <<<"$fetched")"
fi
if [[ -n "$model_dir" ]]; then start=(--init_checkpoint="$model_dir"); fi

exec "$PYTHON" -m albert_zh finetune \
  --task_name=lcqmc_pair \
  --do_train=true \
  --do_eval=true \
  --do_predict=true \
  --data_dir="$data_dir" \
  --max_seq_length=128 \
  --train_batch_size=64 \
  --learning_rate=1e-4 \
  --num_train_epochs=5 \
  --output_dir="$output" \
  "${start[@]}" \
  ${passed[@]+"${passed[@]}"}
