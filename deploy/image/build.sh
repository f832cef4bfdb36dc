#!/usr/bin/env bash
# Builds the container image from the programs in build/bin, with buildah (Debian package buildah): no daemon, no base
# image, no network.
#
#   deploy/image/build.sh [--tag=NAME:TAG] [--archive=FILE.tar] [--bin=FOLDER]
#
# With --archive the image is also written as an OCI archive, which `skopeo copy`, `podman load` and `ctr image import`
# take. Storage and isolation are buildah's own settings (BUILDAH_ISOLATION, STORAGE_DRIVER).
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
bin=$here/../../build/bin tag=localhost/strata:0.1.0 archive=
for argument in "$@"; do
  case $argument in
    --tag=?*) tag=${argument#--tag=} ;;
    --archive=?*) archive=${argument#--archive=} ;;
    --bin=?*) bin=${argument#--bin=} ;;
    *) sed -n '5p' "$0" | sed 's/^# */usage: /' >&2; exit 2 ;;
  esac
done
command -v buildah >/dev/null || { echo "build.sh: buildah is not installed: apt-get install buildah" >&2; exit 1; }
for program in strata-apiserver strata-storage; do
  [[ -x $bin/$program ]] || { echo "build.sh: $bin/$program is missing: ./dev build" >&2; exit 1; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rootfs=$work/rootfs
mkdir -p "$rootfs"/{usr/bin,usr/lib,usr/lib64,etc/ssl/certs,tmp,var/lib/strata}
ln -s usr/lib "$rootfs/lib"
ln -s usr/lib64 "$rootfs/lib64"
chmod 1777 "$rootfs/tmp"
chown 65532:65532 "$rootfs/var/lib/strata" 2>/dev/null || true

# A library goes where the loader looks for it: under the path that ldd gives.
for program in strata-apiserver strata-storage; do
  install -m 755 "$bin/$program" "$rootfs/usr/bin/$program"
  ldd "$bin/$program" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }'
done | sort -u | while read -r library; do
  case $library in
    /lib64/*) target=$rootfs/usr/lib64/${library#/lib64/} ;;
    /lib/*) target=$rootfs/usr/lib/${library#/lib/} ;;
    *) target=$rootfs$library ;;
  esac
  install -D -m 755 "$(readlink -f "$library")" "$target"
done
# Names of hosts, by files and DNS: libc loads these by itself.
for module in /lib/*/libnss_files.so.2 /lib/*/libnss_dns.so.2 /lib/*/libresolv.so.2; do
  [[ ! -e $module ]] || install -D -m 755 "$(readlink -f "$module")" "$rootfs/usr/lib/${module#/lib/}"
done
install -m 644 /etc/ssl/certs/ca-certificates.crt "$rootfs/etc/ssl/certs/"
# What is in it: the libraries' packages, and that of the certificates.
install -d "$rootfs/usr/share/doc/strata"
version=$("$bin/strata-apiserver" --version | sed 's/.* v//')
"$here/../sbom.py" "$version" "$bin"/strata-{apiserver,storage} --with ca-certificates >"$rootfs/usr/share/doc/strata/strata.cdx.json"
echo 'strata:x:65532:65532:Strata:/:/sbin/nologin' >"$rootfs/etc/passwd"
echo 'strata:x:65532:' >"$rootfs/etc/group"
echo 'hosts: files dns' >"$rootfs/etc/nsswitch.conf"

buildah build --quiet --layers=false --tag "$tag" --file "$here/Containerfile" "$work"
if [[ -n $archive ]]; then
  rm -f "$archive"
  buildah push --quiet "$tag" "oci-archive:$archive"
fi
