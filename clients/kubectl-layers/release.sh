#!/usr/bin/env bash
# release.sh FOLDER VERSION URL [OS/ARCH...]: into FOLDER an archive of the plugin for each platform, and layers.yaml, by
# which krew installs it from URL, where the archives are to be put.
set -euo pipefail
folder=$(realpath -m "$1") version=$2 url=$3
shift 3
(($#)) || set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64
cd "$(dirname "$(readlink -f "$0")")"
mkdir -p "$folder"

cat >"$folder/layers.yaml" <<YAML
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: layers
spec:
  version: $version
  shortDescription: What images of image streams are made of
  homepage: $url
  description: |
    Shows the layers of the images of OpenShift's image streams, read from the
    API server and not from a registry: as a table or a tree, the difference
    between two images and what there is to pull, who else has a layer, which
    namespaces and streams take most, and which pods run on a base image and
    how old it is. Also compares two API servers' answers for all streams.
  caveats: |
    To complete its command line (kubectl 1.26 and newer):
      ln -s kubectl-layers "\${KREW_ROOT:-\$HOME/.krew}/bin/kubectl_complete-layers"
  platforms:
YAML
for platform in "$@"; do
  os=${platform%/*} arch=${platform#*/} bin=kubectl-layers
  [[ $os != windows ]] || bin=$bin.exe
  archive=kubectl-layers-$os-$arch.tar.gz
  staged=$(mktemp -d)
  CGO_ENABLED=${CGO_ENABLED:-0} GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false -o "$staged/$bin" \
    -ldflags "-s -w -X strata/clients/kubectl-layers/cmd.Version=$version"
  cp README.md "$staged"
  # The same bytes from the same sources.
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$staged" -c README.md "$bin" | gzip -n >"$folder/$archive"
  rm -r "$staged"
  cat >>"$folder/layers.yaml" <<YAML
  - selector:
      matchLabels: {os: $os, arch: $arch}
    uri: $url/$archive
    sha256: $(sha256sum "$folder/$archive" | cut -d' ' -f1)
    bin: $bin
YAML
done
