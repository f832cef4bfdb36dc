#!/usr/bin/env bash
# Builds the container image and runs it as a pod would: as user 65532, with a read-only root and no capability, the
# store on a volume, and the server with its copy of the records on an emptyDir.
#
#   image_test.sh BIN_FOLDER
set -euo pipefail
bin=$(readlink -f "$1")
root=$(dirname "$(readlink -f "$0")")/../..
work=$(mktemp -d)
container=
end_with_children() {
  local child
  for child in $(pgrep -P "$1"); do end_with_children "$child"; done
  kill "$1" 2>/dev/null || true
}
cleanup() {
  [[ -z ${server:-} ]] || end_with_children "$server"
  [[ -z ${store:-} ]] || end_with_children "$store"
  [[ -z $container ]] || buildah rm "$container" >/dev/null 2>&1 || true
  buildah rmi --all --force >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "image_test: $*" >&2; tail -n 20 "$work"/log* >&2 || true; exit 1; }

# A storage of this test's own.
mkdir -p "$work"/{run,data,cache}
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/graph"\nrunroot = "%s/run"\n' "$work" "$work" >"$work/storage.conf"
export CONTAINERS_STORAGE_CONF=$work/storage.conf BUILDAH_ISOLATION=chroot

"$root/deploy/image/build.sh" --bin="$bin" --tag=localhost/strata:test --archive="$work/strata.tar" >/dev/null
[[ $(stat -c %s "$work/strata.tar") -lt 100000000 ]] || fail "the image is larger than 100 MB"

container=$(buildah from localhost/strata:test)
in_image() { buildah run --cap-drop=all --volume "$work/data:/var/lib/strata" "$container" "$@"; }
[[ $(in_image /usr/bin/strata-apiserver --version) == "strata-apiserver "* ]] || fail "no version"
[[ $(in_image /usr/bin/strata-storage --version) == "strata-storage "* ]] || fail "no version"
[[ $(buildah inspect --format '{{.OCIv1.Config.User}}' "$container") == 65532:65532 ]] || fail "runs as another user"

rootfs=$(buildah mount "$container")
bom=$rootfs/usr/share/doc/strata/strata.cdx.json
"$root/test/deploy/sbom.py" "$bom" "$bin"/strata-{apiserver,storage} || fail "the bill of materials"
grep -q '"ca-certificates"' "$bom" || fail "no certificates in the bill of materials"

chown 65532:65532 "$work"/{data,cache}
chmod 755 "$work"
# free_ports COUNT: all are held until the last is chosen.
free_ports() {
  python3 -c '
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(each.getsockname()[1] for each in held))' "$1"
}
# As kubelet runs it: the image's user, nothing writable but its volume, /proc there. as_pod VOLUME PATH PROGRAM...
mkdir -p "$rootfs"/proc "$rootfs/var/cache/strata"
as_pod() {
  exec unshare --mount bash -c '
    set -e
    mount --bind "$1" "$1"
    mount --bind "$2" "$1$3"
    mount -t proc proc "$1/proc"
    mount -o remount,bind,ro "$1"
    if touch "$1/tmp/x" 2>/dev/null; then echo "the root can be written to" >&2; exit 1; fi
    exec setpriv --bounding-set=-all,+sys_chroot,+setuid,+setgid --no-new-privs \
      chroot --userspec=65532:65532 "$1" "${@:4}"
  ' _ "$rootfs" "$@"
}
read -r store_port port < <(free_ports 2)
as_pod "$work/data" /var/lib/strata /usr/bin/strata-storage serve --data-dir=/var/lib/strata/store \
  --listen-client-urls=http://127.0.0.1:"$store_port" >"$work/log-store" 2>&1 &
store=$!
# Without files for its certificate it makes a pair, which the emptyDir takes here.
as_pod "$work/cache" /var/cache/strata /usr/bin/strata-apiserver --cache-dir=/var/cache/strata/records \
  --etcd-servers=http://127.0.0.1:"$store_port" --cert-dir=/var/cache/strata/certificates \
  --bind-address=127.0.0.1 --secure-port="$port" >"$work/log" 2>&1 &
server=$!
for _ in $(seq 100); do
  for process in $store $server; do kill -0 $process 2>/dev/null || fail "it ended"; done
  if [[ $(curl --silent --insecure "https://127.0.0.1:$port/readyz") == ok ]]; then
    [[ $(stat -c %u "$work/data/store") == 65532 ]] || fail "the store isn't the user's"
    [[ -n $(find "$work/cache/records" -type f -user 65532) ]] || fail "no copy of the records in the emptyDir"
    for process in $store $server; do
      grep -q "^CapEff:.0000000000000000$" "/proc/$process/status" || fail "it has capabilities"
    done
    echo "image_test: passed, $(stat -c %s "$work/strata.tar") bytes"
    exit 0
  fi
  sleep 0.2
done
fail "it never got ready"
