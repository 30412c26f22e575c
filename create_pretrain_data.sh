#!/usr/bin/env bash
# Pretraining records from the text in data/: length 512, 51 predictions, whole words masked.
# Further flags go to `albert-zh create-data`, where the last of a kind wins:
#   bash create_pretrain_data.sh --input_file='my/*.txt' --output_file=my/tf_my.tfrecord
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"
ensure_environment
exec "$PYTHON" -m albert_zh create-data \
  --do_whole_word_mask=True \
  --input_file="$ROOT/data/*.txt" \
  --output_file="$ROOT/data/tf_pretrain.tfrecord" \
  --vocab_file="$ROOT/albert_config/vocab.txt" \
  --do_lower_case=True \
  --max_seq_length=512 \
  --max_predictions_per_seq=51 \
  --masked_lm_prob=0.10 \
  "$@"
