#!/usr/bin/env bash
# Installs what the tests need besides Go: Debian's job server with its tools,
# PHP with the gearman extension, Perl, Python for an example worker, zsh and fish for
# their completions, and a C compiler for the race detector. Does nothing where all of it is there. Where packages
# cannot be installed it says which tests will be skipped; with CI set that is a
# failure.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/install.sh
. scripts/install.sh

packages=()
skipped=()

# need COMMAND PACKAGES WHAT: notes PACKAGES when COMMAND is not found; WHAT is
# what goes untested without it.
need() {
  command -v "$1" >/dev/null && return
  # shellcheck disable=SC2206 # several packages in one word
  packages+=($2)
  skipped+=("$1: $3")
}

# The job server's directory is not on every user's PATH.
PATH=$PATH:/usr/sbin:/sbin

compiler=${CC:-$(go env CC)}
need "${compiler%% *}" "gcc libc6-dev" "the race detector; tests run without it"
need gearmand gearman-job-server "everything on Debian's job server"
need gearman gearman-tools "the command line client of libgearman"
need gearadmin gearman-tools "the admin tool of libgearman"
need python3 python3 "the example worker in Python"
need php php-cli "PHP workers, configs in PHP, the comparison of config values with PHP's"
need zsh zsh "the completion of zsh"
need fish fish "the completion of fish"
need perl perl "the adoption of processes that others have forked"
if ! php -r 'exit(extension_loaded("gearman") ? 0 : 1);' 2>/dev/null; then
  packages+=(php-gearman)
  skipped+=("php-gearman: clients and workers of PHP's gearman extension")
fi

[ ${#packages[@]} -gt 0 ] || exit 0

if may_install; then
  server_was_there=$(command -v gearmand || true)
  echo "installing ${packages[*]}" >&2
  install_packages "${packages[@]}"
  if [ -z "$server_was_there" ] && [ -x /etc/init.d/gearman-job-server ]; then
    # The tests start job servers of their own; none should come up at the next boot because of them.
    as_root update-rc.d gearman-job-server disable >/dev/null 2>&1 || true
  fi
  exit 0
fi

echo "packages cannot be installed here (no root, no sudo without a password, or no apt-get)." >&2
echo "Without these, tests are skipped:" >&2
printf '  %s\n' "${skipped[@]}" >&2
echo "To have them: apt-get install ${packages[*]}" >&2
if [ -n "${CI:-}" ]; then
  echo "CI is set: this is a failure" >&2
  exit 1
fi
