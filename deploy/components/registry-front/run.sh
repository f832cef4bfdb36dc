#!/bin/sh
# run.sh [SECONDS]: nginx, told to read its files again when one of them has changed: a certificate, a CA, this
# ConfigMap, Strata's address. They are looked at every so many seconds (10). What nginx would refuse is never loaded.
set -eu
period=${1:-10}
config=/etc/front/config/nginx.conf

server() {  # the line of an upstream
  case $1 in
    *:*) echo "server [$1]:$2 max_fails=0;" ;;
    *) echo "server $1:$2 max_fails=0;" ;;
  esac
}

# nginx reads its files again at anybody's signal: it must never meet a half of one.
put() {
  cat >"$1.new"
  mv "$1.new" "$1"
}

# kube-apiserver is where kubelet says: registries get in while the cluster's DNS is away. Without an address Strata is
# taken to be down.
write() {
  server "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" | put /run/front/kube.server
  address=$(getent hosts "${STRATA_HOST:-strata.strata.svc}" | head -n 1 | cut -d ' ' -f 1) || true
  if [ -n "$address" ]; then
    server "$address" "${STRATA_PORT:-443}" | put /run/front/strata.server
  elif [ ! -e /run/front/strata.server ]; then
    echo "server unix:/run/front/nobody.sock max_fails=0;" | put /run/front/strata.server
  fi
  only=
  if [ -s /proc/net/if_inet6 ]; then only='[::]:'; fi
  echo "listen ${only}8443 ssl http2${only:+ ipv6only=off};" | put /run/front/listen
  echo "listen ${only}8081${only:+ ipv6only=off};" | put /run/front/listen-health
}

files() { cat /etc/front/*/* /run/front/*.server | cksum; }

# A killed nginx leaves its sockets behind, and the folder outlives a container.
rm -f /run/front/*.sock
write
seen=$(files)
nginx -e stderr -c "$config" &
nginx=$!

# The Service goes on sending for a moment after a pod is told to end.
end() {
  trap '' TERM INT
  sleep 5
  kill -QUIT $nginx
  wait $nginx
  exit
}
trap end TERM INT

while kill -0 $nginx 2>/dev/null; do
  sleep "$period" &
  wait $! || true
  write
  now=$(files)
  [ "$now" != "$seen" ] || continue
  # A pair is two files, which needn't have come at once: what doesn't fit is looked at again.
  if nginx -q -t -e stderr -c "$config"; then
    seen=$now
    kill -HUP $nginx
  fi
done
wait $nginx
