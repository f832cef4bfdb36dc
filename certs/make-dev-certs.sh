#!/usr/bin/env bash
# Makes a certificate authority and what a development server and its clients need, for `./dev run` and tests.
#
#   certs/make-dev-certs.sh [--san=DNS:name|IP:addr]... DIRECTORY
#
# Idempotent: what is there and valid for another week stays, so a client that trusts ca.crt keeps trusting it; what
# is missing, expiring, signed by another CA or without the names asked for is made anew. Never for production.
set -euo pipefail

usage() {
  sed -n '4p' "$0" | sed 's/^# */usage: /' >&2
  exit 2
}

readonly kWeek=$((7 * 24 * 3600))
sans=(DNS:localhost DNS:strata DNS:strata.strata DNS:strata.strata.svc DNS:strata.strata.svc.cluster.local
  IP:127.0.0.1 IP:::1)
directory=
for argument in "$@"; do
  case $argument in
    --san=DNS:?* | --san=IP:?*) sans+=("${argument#--san=}") ;;
    --* | '') usage ;;
    *) [[ -z $directory ]] || usage; directory=$argument ;;
  esac
done
[[ -n $directory ]] || usage
command -v openssl >/dev/null || { echo "make-dev-certs.sh: openssl is not installed" >&2; exit 1; }

umask 077
mkdir -p "$directory"
cd "$directory"
work=$(mktemp -d .making.XXXXXX)
trap 'rm -rf "$work"' EXIT
san_list=$(IFS=,; echo "${sans[*]}")

# Two runs at once would make two authorities.
exec 9>.lock
if command -v flock >/dev/null; then flock 9; fi

run_openssl() {
  openssl "$@" 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }
}

new_key() { run_openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

# Key and certificate belong together, the certificate lasts another week, and the authority signed it.
is_good() {
  local name=$1
  [[ -s $name.crt && -s $name.key ]] || return 1
  openssl x509 -in "$name.crt" -noout -checkend $kWeek >/dev/null 2>&1 || return 1
  openssl verify -CAfile ca.crt "$name.crt" >/dev/null 2>&1 || return 1
  [[ $(openssl x509 -in "$name.crt" -noout -pubkey 2>/dev/null) == "$(openssl pkey -in "$name.key" -pubout 2>/dev/null)" ]]
}

# The key is put in place before the certificate: a server that reloads on change reads a pair that fits, or waits.
put() {
  chmod 600 "$work/$1.key"
  chmod 644 "$work/$1.crt"
  mv "$work/$1.key" "$1.key"
  mv "$work/$1.crt" "$1.crt"
}

make_authority() {
  is_good ca && return
  new_key "$work/ca.key"
  run_openssl req -x509 -new -sha256 -days 3650 -key "$work/ca.key" -subj "/CN=strata development CA" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -out "$work/ca.crt"
  put ca
}

# make_leaf NAME SUBJECT EXTENDED_KEY_USAGE [SANS]
make_leaf() {
  local name=$1 subject=$2 usage=$3 names=${4:-}
  if is_good "$name" && [[ $(cat "$name.names" 2>/dev/null) == "$subject $names" ]]; then return; fi
  new_key "$work/$name.key"
  run_openssl req -new -key "$work/$name.key" -subj "$subject" -out "$work/$name.csr"
  {
    echo "basicConstraints=critical,CA:FALSE"
    echo "keyUsage=critical,digitalSignature"
    echo "extendedKeyUsage=$usage"
    echo "subjectKeyIdentifier=hash"
    echo "authorityKeyIdentifier=keyid"
    [[ -z $names ]] || echo "subjectAltName=$names"
  } >"$work/$name.ext"
  run_openssl x509 -req -sha256 -days 365 -in "$work/$name.csr" -CA ca.crt -CAkey ca.key \
    -set_serial "0x00$(openssl rand -hex 16)" -extfile "$work/$name.ext" -out "$work/$name.crt"
  put "$name"
  echo "$subject $names" >"$name.names"
}

make_authority
make_leaf serving "/CN=strata" serverAuth "$san_list"
make_leaf admin "/O=system:masters/CN=admin" clientAuth
make_leaf puller "/O=devs/CN=puller" clientAuth
