#!/usr/bin/env bash
# Runs a command in a copy of this tree on a new, minimal Debian 12, where nothing is installed but what the tree's own
# scripts install: what works here and not there is a step that is missing. It needs root, and 15 GB of disk.
#
#   bare.sh [COMMAND...]        `./dev test` unless told; its exit status, or 125 if no such root can be made here
#
# The root shares the machine's network, devices, apt sources and trusted CAs; and its caches of packages, modules and
# compiled objects, each of which is known by what it was made of. Its processes end with it.
set -euo pipefail
readonly kSuite=bookworm
cd "$(dirname "$(readlink -f "$0")")/.."
(($#)) || set -- ./dev test
readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/strata-bare
# Below the home, here and there.
readonly caches=(.cache/ccache .cache/go-build go/pkg/mod .npm)

cannot() { echo "bare: $*" >&2; exit 125; }

((EUID == 0)) || cannot "a root can be made only as root"
if ! command -v debootstrap >/dev/null; then
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends debootstrap; } \
    >/dev/null 2>&1 || cannot "debootstrap is not there and can't be installed"
fi
unshare --mount --pid --fork --mount-proc true 2>/dev/null || cannot "mounts and processes can't be unshared here"

# Debian's own sources of this machine; others would bring what a minimal Debian lacks.
mapfile -t sources < <(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) main' 'Created-By: Packages' 'Component: main' |
  grep -E " $kSuite(-updates|-security)? main$" | sort -u)
mirror=$(printf '%s\n' "${sources[@]}" | sed -n "s/^deb \(.*[^/]\)\/* $kSuite main$/\1/p" | head -n 1)
[[ -n $mirror ]] || cannot "apt knows no mirror of Debian $kSuite"

mkdir -p "$cache"/{debs,apt/partial} "${caches[@]/#/$HOME/}"
root=$(mktemp -d "${TMPDIR:-/var/tmp}/strata-bare.XXXXXX")
chmod 755 "$root"
# Mounts are in a namespace that is gone by then, so nothing outside of the root can be reached from here.
trap 'rm -rf --one-file-system "$root"' EXIT
echo "bare: a minimal Debian $kSuite in $root" >&2
debootstrap --variant=minbase --cache-dir="$cache/debs" $kSuite "$root" "$mirror" >"$root.log" 2>&1 ||
  { cat "$root.log" >&2; rm -f "$root.log"; cannot "debootstrap failed"; }
rm -f "$root.log"

printf '%s\n' "${sources[@]}" >"$root/etc/apt/sources.list"
apt-config dump --format '%F "%v";%n' Acquire | grep -v '^[^"]*::  *"";$' >"$root/etc/apt/apt.conf.d/90machine" || true
# Trusted as soon as ca-certificates is installed, also by programs that look for a certificate by its hash.
awk -v folder="$root/usr/local/share/ca-certificates" '
  BEGIN { system("mkdir -p " folder) }
  /BEGIN CERTIFICATE/ { file = sprintf("%s/machine-%03d.crt", folder, ++n) }
  file { print > file }
  /END CERTIFICATE/ { close(file); file = "" }' /etc/ssl/certs/ca-certificates.crt
cp /etc/resolv.conf /etc/hosts "$root/etc/"

mkdir -p "$root/root/strata" "${caches[@]/#/$root/root/}"
{ git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [[ ! -e $file ]] || printf '%s\0' "$file"
  done; printf '.git\0'; } |
  tar --create --null --files-from=- | tar --extract --directory="$root/root/strata"

environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "TERM=${TERM:-dumb}")
while IFS= read -r -d '' variable; do
  case $variable in
    CI=* | STRATA_*=* | GOPROXY=* | GOSUMDB=* | GONOSUMDB=* | GOFLAGS=* | [Nn][Oo]_[Pp][Rr][Oo][Xx][Yy]=* | \
      [Hh][Tt][Tt][Pp]*_[Pp][Rr][Oo][Xx][Yy]=*) environment+=("$variable") ;;
  esac
done < <(env -0)

status=0
unshare --mount --pid --fork --kill-child bash -c '
  set -e
  root=$1 packages=$2 home=$3
  shift 3
  # A mount point of its own, as tests that make mounts expect of a root.
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  mount --bind "$packages" "$root/var/cache/apt/archives"
  while [[ $1 != -- ]]; do
    mount --bind "$home/$1" "$root/root/$1"
    shift
  done
  shift
  exec chroot "$root" "$@"
' _ "$root" "$cache/apt" "$HOME" "${caches[@]}" -- env -i "${environment[@]}" sh -c 'cd /root/strata && exec "$@"' _ "$@" || status=$?
exit $status
