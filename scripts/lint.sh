#!/usr/bin/env bash
# All checks that run nothing of the project. Each runs even when one before it
# found something; the status is 1 if any did.
#
# shellcheck disable=SC2317 # functions are called by name, through check
set -uo pipefail
cd "$(dirname "$0")/.." || exit

status=0
tool=(go tool -modfile=internal/tools/go.mod)

# check NAME COMMAND...: runs one check and remembers its failure.
check() {
  local name=$1
  shift
  echo "lint: $name"
  "$@" || {
    echo "lint: $name: failed" >&2
    status=1
  }
}

# generated_is_current generates into a copy and compares: the work tree is not touched.
generated_is_current() {
  local copy
  [ -f plugins/workerpb/worker.proto ] || return 0
  copy=$(mktemp -d) || return 1
  local result=0
  "${tool[@]}" buf generate -o "$copy" || result=1
  if [ "$result" = 0 ]; then
    diff -u plugins/workerpb/worker.pb.go "$copy/plugins/workerpb/worker.pb.go" || result=1
    diff -u plugins/workerpb/worker_grpc.pb.go "$copy/plugins/workerpb/worker_grpc.pb.go" || result=1
    [ "$result" = 0 ] || echo "run 'make generate' and commit the result" >&2
  fi
  rm -rf "$copy"
  return "$result"
}

shell_scripts() {
  git ls-files --cached --others --exclude-standard | while read -r file; do
    case $file in
      *.sh) echo "$file" ;;
      *) [ -f "$file" ] && head -c 64 "$file" | head -n 1 | grep -qaE '^#!.*[/ ](ba|da)?sh( |$)' && echo "$file" ;;
    esac
  done
}

shell_is_clean() {
  if ! command -v shellcheck >/dev/null; then
    echo "shellcheck is not installed (Debian: apt-get install shellcheck): skipped" >&2
    [ -z "${CI:-}" ]
    return # its status: with CI set nothing is skipped
  fi
  local files
  mapfile -t files < <(shell_scripts)
  shellcheck -x "${files[@]}"
}

# The commands that build what the lint rules look at come first: go vet's errors are the clearest.
check "go vet" go vet ./...
check "golangci-lint" "${tool[@]}" golangci-lint run ./...
check "go mod tidy" go mod tidy -diff
check "gRPC contract" "${tool[@]}" buf lint
check "generated code" generated_is_current
check "shell scripts" shell_is_clean
exit "$status"
