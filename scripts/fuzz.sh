#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME (default 30s), one after the
# other. Targets are found with go test -list, so a new one needs no entry here.
# A failing input is kept by go in the package's testdata/fuzz, and the rest of
# the targets still run.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-30s}
failed=()
found=0

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# fuzz DIR TARGET runs one target. Go sometimes fails with "context deadline
# exceeded" and without an input when the time ends at the wrong moment: that run
# has found nothing, and is repeated.
fuzz() {
  local try
  for try in 1 2 3; do
    if go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" "./$1" 2>&1 | tee "$log"; then
      return 0
    fi
    if ! grep -q 'context deadline exceeded' "$log" || grep -q 'Failing input written' "$log"; then
      return 1
    fi
    echo "fuzz ./$1 $2: go ended try $try at its deadline without an input"
  done
  return 1
}

# Only packages with a fuzz target in their test files are built.
mapfile -t dirs < <(git ls-files --cached --others --exclude-standard -- '*_test.go' |
  xargs -r grep -lE '^func Fuzz[A-Z0-9_]' | xargs -r -n1 dirname | sort -u)

for dir in "${dirs[@]}"; do
  mapfile -t targets < <(go test -list '^Fuzz' "./$dir" | grep '^Fuzz')
  for target in "${targets[@]}"; do
    found=$((found + 1))
    echo "fuzz ./$dir $target for $fuzztime"
    fuzz "$dir" "$target" || failed+=("./$dir $target")
  done
done

echo "$found fuzz targets, ${#failed[@]} failed"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
