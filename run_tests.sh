#!/usr/bin/env bash
# Lint, format check and all tests, in the checkout's own environment. --with-torch: also those that hold converted
# models against PyTorch and transformers, which it installs. Further words go to pytest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scripts/common.sh"
ensure_environment test
for word in "$@"; do
  if [[ "$word" == --with-torch ]]; then ensure_torch; fi
done
cd "$ROOT"
"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
exec "$PYTHON" -m pytest "$@"
