#!/usr/bin/env bash
# Raw text to a fine-tuned model and a report, on the data of this checkout: about 4 minutes on 2 cores.
# What is finished is used again: run it twice, or after a Ctrl-C, and it goes on where it stopped.
#   bash quickstart.sh [OUTPUT FOLDER]        default: quickstart_output
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"
[[ "${1:-}" != -* ]] || fail "usage: bash quickstart.sh [OUTPUT FOLDER]"
ensure_environment
output="${1:-$ROOT/quickstart_output}"
started=$SECONDS

stopped() {
  say "Stopped. The same command goes on from here. Where $output holds a run of other text or of another version," \
    "name a new folder: bash quickstart.sh NEW_FOLDER"
}
set -o errtrace # functions too
trap stopped ERR
step() { printf '\n=== %s\n' "$1" >&2; }
albert_zh() { "$PYTHON" -m albert_zh "$@"; }

step "1/6  text -> pretraining records (whole words masked)"
albert_zh create-data \
  --input_file="$ROOT/data/*.txt" --vocab_file="$ROOT/albert_config/vocab.txt" \
  --output_file="$output/records/train.tfrecord" \
  --dev_output_file="$output/records/dev.tfrecord" --dev_share=0.1 \
  --max_seq_length=64 --max_predictions_per_seq=10 --masked_lm_prob=0.15 --dupe_factor=20

step "2/6  records -> pretrained checkpoint"
albert_zh pretrain \
  --input_file="$output/records/train.tfrecord" --eval_input_file="$output/records/dev.tfrecord" \
  --bert_config_file="$ROOT/albert_config/albert_config_nano_google.json" \
  --vocab_file="$ROOT/albert_config/vocab.txt" --output_dir="$output/pretrained" \
  --do_train=true --do_eval=true --max_seq_length=64 --max_predictions_per_seq=10 \
  --train_batch_size=32 --optimizer=adamw --learning_rate=1e-4 --num_train_steps=800 --num_warmup_steps=80 \
  --save_checkpoints_steps=100

step "3/6  topics of news titles: fine-tune, evaluate, predict"
albert_zh finetune \
  --task_name=tnews --data_dir="$ROOT/data/tnews" --init_checkpoint="$output/pretrained" \
  --output_dir="$output/topic" --do_train=true --do_eval=true --do_predict=true \
  --max_seq_length=64 --train_batch_size=32 --learning_rate=4e-4 --num_train_epochs=20 --eval_steps=54

step "4/6  sentence pairs: fine-tune, evaluate, predict"
albert_zh finetune \
  --task_name=lcqmc --data_dir="$ROOT/data/lcqmc" --init_checkpoint="$output/pretrained" \
  --output_dir="$output/pairs" --do_train=true --do_eval=true --do_predict=true \
  --max_seq_length=64 --train_batch_size=32 --learning_rate=4e-4 --num_train_epochs=8 --eval_steps=50

step "5/6  a file for phones, held against the model"
albert_zh export "$output/pairs" --to=litert --output_dir="$output/pairs_litert" --overwrite=true

step "6/6  report"
albert_zh report \
  --pretrained_dir="$output/pretrained" --finetuned_dir "$output/topic" "$output/pairs" \
  --record_file="$output/records/train.tfrecord" --output_file="$output/report.html" \
  --command "重跑全部 all of this=bash quickstart.sh" \
  --next_step "试一句 try a title=python -m albert_zh predict $output/topic --text 国足点球大战惊险晋级" \
  "真实数据 real data=bash run_classifier_lcqmc.sh"

cat <<END

Done in $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s. Open in a browser: $output/report.html
Models, metrics and predictions: $output/topic and $output/pairs
For a phone: $output/pairs_litert, read README.md there and docs/mobile
Next, try the model on a title of your own:
  $PYTHON -m albert_zh predict $output/topic --text 国足点球大战惊险晋级
or all of them in a browser:
  $PYTHON -m albert_zh serve $output/topic $output/pairs $output/pretrained
then on real data with a published model:
  bash run_classifier_lcqmc.sh
END
