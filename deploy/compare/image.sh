#!/usr/bin/env bash
# Builds the Job's container image, kubectl-layers and nothing else, with Go and buildah.
#
#   deploy/compare/image.sh [--tag=NAME:TAG] [--archive=FILE.tar]
#
# With --archive the image is also written as an OCI archive, as deploy/image/build.sh does.
set -euo pipefail
tag=localhost/kubectl-layers:0.1.0 archive=
for argument in "$@"; do
  case $argument in
    --tag=?*) tag=${argument#--tag=} ;;
    --archive=?*) archive=$(realpath -m "${argument#--archive=}") ;;
    *) sed -n '4p' "$0" | sed 's/^# */usage: /' >&2; exit 2 ;;
  esac
done
cd "$(dirname "$(readlink -f "$0")")/../../clients/kubectl-layers"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X strata/clients/kubectl-layers/cmd.Version=v0.1.0" -o "$work/kubectl-layers"
cat >"$work/Containerfile" <<END
FROM scratch
COPY kubectl-layers /
USER 65532:65532
ENTRYPOINT ["/kubectl-layers"]
LABEL org.opencontainers.image.title="kubectl-layers"
END
buildah build --quiet --layers=false --tag "$tag" "$work"
if [[ -n $archive ]]; then
  rm -f "$archive"
  buildah push --quiet "$tag" "oci-archive:$archive"
fi
