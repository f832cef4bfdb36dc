#!/usr/bin/env bash
# testssl.sh against a server with its own self-signed certificate; fails where something is found that is worse than
# INFO, but for what concerns who signed the certificate. It takes minutes, and Debian's package testssl.sh.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
bin=${STRATA_BIN:-build/bin}
port=${STRATA_PORT:-8453}
dir=$(mktemp -d)
"$bin/strata-apiserver" --data-dir="$dir/data" --cert-dir="$dir/certs" --bind-address=127.0.0.1 --secure-port="$port" \
  --authentication-skip-lookup >"$dir/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
for ((i = 0; i < 100; i++)); do
  curl -ksf "https://localhost:$port/readyz" >/dev/null && break
  sleep 0.1
done
testssl --quiet --color 0 --warnings batch --ip 127.0.0.1 --jsonfile "$dir/found.json" "https://localhost:$port" >"$dir/text" || true
python3 - "$dir/found.json" <<'PYTHON'
import json
import sys

# The certificate is the operator's, and made for itself here; what the machine's own OpenSSL lacks is no finding.
NOT_OURS = ("cert_", "OCSP", "CRL", "DNS_CAArecord", "overall_grade", "grade_cap", "final_score",
            "engine_problem")
# Strict-Transport-Security is for browsers; kube-apiserver sends it where it is asked to.
KNOWN = ("HSTS",)
found = json.load(open(sys.argv[1]))
worse = [one for one in found
         if one["severity"] not in ("OK", "INFO") and not one["id"].startswith(NOT_OURS) and one["id"] not in KNOWN]
for one in worse:
    print(one["severity"], one["id"], one["finding"])
print(len(found), "findings,", len(worse), "above INFO")
sys.exit(1 if worse or len(found) < 50 else 0)
PYTHON
