# Shared by the shell scripts: source it, call ensure_environment, run "$PYTHON".
# Works from any folder and changes no folder, so that paths a user types keep their meaning.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PYTHON=""

say() { printf '%s\n' "$*" >&2; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# python_fits PYTHON: is it a Python the project runs on?
python_fits() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
  local candidate
  for candidate in python3.13 python3.12 python3.11 python3; do
    if python_fits "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.11 to 3.13 was found (python3 is $(python3 --version 2>&1 || echo missing)).
Install one, for example: sudo apt install python3.12 python3.12-venv, or https://www.python.org/downloads/
or name one you have made ready with pip install -e '.[cpu]': ALBERT_ZH_PYTHON=/path/to/python bash SCRIPT"
}

has_nvidia_driver() {
  [[ -e /proc/driver/nvidia/version ]] || nvidia-smi -L >/dev/null 2>&1
}

# ensure_environment [test]: makes .venv in the checkout once, installs what pyproject.toml names, sets PYTHON.
# A stamp holds what was installed, so that a second run costs nothing; it is written last, so that an installation
# that was stopped is done again. ALBERT_ZH_PYTHON names an interpreter to use as it is instead.
ensure_environment() {
  local purpose="${1:-run}" kind have wanted
  if [[ -n "${ALBERT_ZH_PYTHON:-}" ]]; then
    python_fits "$ALBERT_ZH_PYTHON" || fail "ALBERT_ZH_PYTHON=$ALBERT_ZH_PYTHON is not a Python 3.11 to 3.13."
    PYTHON="$ALBERT_ZH_PYTHON"
    export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
    return
  fi
  PYTHON="$ROOT/.venv/bin/python"
  kind="cpu"
  if has_nvidia_driver; then kind="cuda"; fi
  wanted="$(cksum <"$ROOT/pyproject.toml") $kind"
  have="$(cat "$ROOT/.venv/installed" 2>/dev/null || true)"
  if [[ "$have" == "$wanted test" || "$have" == "$wanted $purpose" ]] && python_fits "$PYTHON"; then
    return
  fi
  if [[ -n "$have" && "$have" != *" $kind "* ]]; then
    say "This machine now needs the packages for $kind: making .venv anew (both kinds of TensorFlow own one folder)"
    rm -rf "$ROOT/.venv"
  fi
  if [[ "$purpose" == test || "$have" == *" test" ]]; then
    purpose="test"
    install_environment "$kind,serve,litert,onnx,test"
  else
    install_environment "$kind,serve,litert"
  fi
  printf '%s\n' "$wanted $purpose" >"$ROOT/.venv/installed"
}

# ensure_torch: what [torch] names, in the environment that ensure_environment made.
ensure_torch() {
  if "$PYTHON" -c 'import torch, transformers' >/dev/null 2>&1; then return; fi
  if [[ -n "${ALBERT_ZH_PYTHON:-}" ]]; then
    fail "$PYTHON has no torch or no transformers. In $ROOT: $PYTHON -m pip install -e '.[torch]'"
  fi
  install_environment torch
}

# install_environment EXTRAS: .venv and the packages; shows what is downloaded, and all of pip's words if it fails.
install_environment() {
  local log="$ROOT/.venv/install.log" base
  if ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
    base="$(find_python)"
    say "Making $ROOT/.venv with $("$base" --version)"
    "$base" -m venv --clear "$ROOT/.venv" ||
      fail "python3 -m venv did not work. On Debian and Ubuntu: sudo apt install python3-venv"
  fi
  say "Installing the packages of pyproject.toml [$1] into .venv (about 300 MB the first time; cuda some GB)"
  if ! "$PYTHON" -m pip install --disable-pip-version-check --progress-bar off -e "${ROOT}[$1]" 2>&1 |
    tee "$log" | show_downloads; then
    tail -n 25 "$log" >&2
    fail "the packages could not be installed; all of pip's words: $log
If the package registry is slow or closed here, name a mirror and run again, for example:
PIP_INDEX_URL=ADDRESS_OF_THE_MIRROR bash $0"
  fi
}

show_downloads() {
  local line
  while IFS= read -r line; do
    if [[ "$line" =~ Downloading\ (.*/)?([^/\ ]+\.(whl|tar\.gz)(\ .*)?)$ ]]; then
      say "  ${BASH_REMATCH[2]}"
    fi
  done
}

# run_suite SCRIPT FLAG… -- WORD…: albert-zh clue with a script's own flags and the words a user gave, which win.
# Shows the head of SCRIPT for --help; --sample without a model starts from what this checkout holds.
run_suite() {
  local script="$1" own=() sample=false model=false word
  shift
  while [[ "$1" != -- ]]; do
    own+=("$1")
    shift
  done
  shift
  for word in "$@"; do
    case "$word" in
      -h | --help)
        sed -n '2,/^set /{s/^# \{0,1\}//p;}' "$script"
        exit 0
        ;;
      --sample | --sample=true | --sample=True) sample=true ;;
      --model | --model=* | --model_dir* | --model-dir* | --init_checkpoint* | --init-checkpoint*) model=true ;;
    esac
  done
  ensure_environment
  if "$sample" && ! "$model"; then
    if [[ -d "$ROOT/quickstart_output/pretrained" ]]; then
      own+=(--model="$ROOT/quickstart_output/pretrained")
    else
      say "No pretrained model is here (bash quickstart.sh makes one): starting from random weights, expect little."
      own+=(--model=none --bert_config_file="$ROOT/albert_config/albert_config_nano_google.json"
        --vocab_file="$ROOT/albert_config/vocab.txt")
    fi
  fi
  exec "$PYTHON" -m albert_zh clue ${own[@]+"${own[@]}"} "$@"
}
