# shellcheck shell=bash
# Functions to install Debian packages; to be sourced.

# may_install tells whether packages can be installed without asking anybody.
may_install() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

# as_root runs its arguments as root.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install_packages installs the packages named, without starting the service of
# any of them: Debian's package scripts start one through invoke-rc.d or
# deb-systemd-invoke, which they find on the PATH that apt gives to dpkg. Two
# programs of those names that do nothing stand first on it, for this one call.
# Nothing on the machine has to be configured for that, nor cleaned up after.
install_packages() (
  quiet=$(mktemp -d)
  trap 'rm -rf "$quiet"' EXIT
  chmod 755 "$quiet"
  for helper in invoke-rc.d deb-systemd-invoke; do
    printf '#!/bin/sh\nexit 0\n' >"$quiet/$helper"
    chmod 755 "$quiet/$helper"
  done
  # "</dev/null" for any script that would ask; "env" because sudo cleans the environment.
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq update </dev/null
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y --no-install-recommends \
    -o DPkg::Path="$quiet:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    -o DPkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 \
    install "$@" </dev/null >&2
)
