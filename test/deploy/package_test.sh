#!/usr/bin/env bash
# Makes the Debian package, looks at what is in it, and serves with the configuration that it brings.
#
#   package_test.sh BUILD_FOLDER
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$1")
work=$(mktemp -d)
cleanup() {
  [[ -z ${server:-} ]] || kill "$server" 2>/dev/null || true
  [[ -z ${store:-} ]] || kill "$store" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "package_test: $*" >&2; cat "$work"/log* >&2 2>/dev/null || true; exit 1; }

(cd "$build" && cpack -G DEB -B "$work" >"$work/log" 2>&1) || fail "cpack"
package=$(echo "$work"/*.deb)
info=$(dpkg-deb --info "$package")
for field in 'Package: strata' 'Depends: .*libgrpc' 'Depends: .*adduser' postinst prerm conffiles; do
  grep -q "$field" <<<"$info" || fail "no $field in: $info"
done
dpkg-deb --extract "$package" "$work/root"
for file in usr/bin/strata-apiserver usr/bin/strata-storage lib/systemd/system/strata-apiserver.service \
  lib/systemd/system/strata-storage.service etc/strata/apiserver.yaml etc/default/strata-storage \
  usr/share/doc/strata/{README.md,certs/README.md,docs/operations.md,deploy/samples/nodejs.yaml}; do
  [[ -e $work/root/$file ]] || fail "no $file"
done
while IFS=: read -r page link; do
  [[ -e $(dirname "$page")/$link ]] || fail "$page leads to $link, which isn't in the package"
done < <(grep --recursive --include='*.md' --only-matching --perl-regexp '\]\(\K[^)#:]+(?=[)#])' "$work/root/usr/share/doc")
sed -n 's|^Documentation=file://||p' "$work"/root/lib/systemd/system/*.service | while read -r page; do
  [[ -e $work/root$page ]] || fail "no $page"
done
for unit in "$work"/root/lib/systemd/system/*.service; do
  exposure=$(systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" 2>&1) || fail "${exposure##*$'\n'}"
done
programs=("$work"/root/usr/bin/strata-{apiserver,storage}) bom=$work/root/usr/share/doc/strata/strata.cdx.json
"$here/sbom.py" "$bom" "${programs[@]}" || fail "the bill of materials"
version=$(dpkg-deb --field "$package" Version)
(cd / && LC_ALL=C.UTF-8 "$here/../../deploy/sbom.py" "$version" "${programs[@]}") | cmp - "$bom" ||
  fail "the bill of materials depends on who makes it"
for script in postinst prerm; do
  dpkg-deb --ctrl-tarfile "$package" | tar -xO "./$script" | sh -n || fail "$script"
done

# What postinst does of services, where systemd runs: systemctl and deb-systemd-invoke only say that they were called.
mkdir "$work/stand-ins" "$work/systemd"
for program in systemctl deb-systemd-invoke adduser; do
  printf '#!/bin/sh\necho %s "$@"\n' $program >"$work/stand-ins/$program"
  chmod +x "$work/stand-ins/$program"
done
dpkg-deb --ctrl-tarfile "$package" | tar -xO ./postinst | sed "s|/run/systemd/system|$work/systemd|" >"$work/postinst"
configured() { PATH="$work/stand-ins:$PATH" sh "$work/postinst" configure "$@" | grep -v ^adduser; }
[[ $(configured) == "systemctl daemon-reload" ]] || fail "a new package starts something: $(configured)"
[[ $(configured 0.0.1 | tail -n1) == "deb-systemd-invoke try-restart strata-storage.service strata-apiserver.service" ]] ||
  fail "an upgrade leaves the old programs: $(configured 0.0.1)"

# The services' command lines, with this machine's paths and ports.
# free_ports COUNT: all are held until the last is chosen.
free_ports() {
  python3 -c '
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(each.getsockname()[1] for each in held))' "$1"
}
read -r metrics_port port < <(free_ports 2)
grep -qx 'EnvironmentFile=/etc/default/strata-storage' "$work/root/lib/systemd/system/strata-storage.service" ||
  fail "the store's unit reads no flags"
grep -qx 'RuntimeDirectory=strata-storage' "$work/root/lib/systemd/system/strata-storage.service" ||
  fail "the store's unit has no folder for its socket"
# shellcheck disable=SC1091
source "$work/root/etc/default/strata-storage"
read -r -a command < <(sed -n 's/^ExecStart=//p' "$work/root/lib/systemd/system/strata-storage.service" |
  sed "s|\$STRATA_STORAGE_FLAGS|$STRATA_STORAGE_FLAGS|; s|/var/lib/strata|$work|; s|/run/strata-storage/|$work/|; s|:2381|:$metrics_port|")
"$work/root${command[0]}" "${command[@]:1}" >"$work/log-store" 2>&1 &
store=$!
sed -i "s|/run/strata-storage/|$work/|; s|^secure-port: .*|secure-port: $port|; s|/var/lib/strata|$work|; s|/var/cache/strata|$work/cache|" "$work/root/etc/strata/apiserver.yaml"
read -r -a command < <(sed -n 's/^ExecStart=//p' "$work/root/lib/systemd/system/strata-apiserver.service" |
  sed "s|/etc/strata|$work/root/etc/strata|")
"$work/root${command[0]}" "${command[@]:1}" --bind-address=127.0.0.1 >"$work/log-server" 2>&1 &
server=$!
for _ in $(seq 100); do
  if [[ $(curl --silent --insecure "https://127.0.0.1:$port/readyz") == ok ]]; then
    [[ $(stat --format=%A "$work/storage.sock") == srw-rw---- ]] || fail "others may open the store's socket, or its group may not"
    echo "package_test: passed"
    exit 0
  fi
  kill -0 $server 2>/dev/null || fail "the server ended"
  sleep 0.2
done
fail "it never got ready"
