#!/usr/bin/env bash
# Installs what the tests need, runs all tests (or those of the packages named
# as arguments) and ends with a line that counts them. TESTFLAGS replaces the
# flags of go test other than -race.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/test-deps.sh
# The job server's directory is not on every user's PATH.
export PATH=$PATH:/usr/sbin:/sbin

# Two packages at a time is what two cores can feed.
read -ra flags <<<"${TESTFLAGS:--shuffle=on -p 2 -timeout 15m}"
compiler=$(go env CC)
if command -v "${compiler%% *}" >/dev/null; then
  export CGO_ENABLED=1 # which the race detector needs
  flags+=(-race)
else
  echo "no C compiler: testing without the race detector" >&2
fi

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -buildvcs=false -o "$bin/testcount" ./scripts/testcount
[ $# -gt 0 ] || set -- ./...
go test -json "${flags[@]}" "$@" | "$bin/testcount"
