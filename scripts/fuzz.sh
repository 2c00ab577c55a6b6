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

# Only packages with a fuzz target in their test files are built.
mapfile -t dirs < <(git ls-files --cached --others --exclude-standard -- '*_test.go' |
  xargs -r grep -lE '^func Fuzz[A-Z0-9_]' | xargs -r -n1 dirname | sort -u)

for dir in "${dirs[@]}"; do
  mapfile -t targets < <(go test -list '^Fuzz' "./$dir" | grep '^Fuzz')
  for target in "${targets[@]}"; do
    found=$((found + 1))
    echo "fuzz ./$dir $target for $fuzztime"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime" "./$dir" || failed+=("./$dir $target")
  done
done

echo "$found fuzz targets, ${#failed[@]} failed"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
