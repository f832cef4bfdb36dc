//go:build tools

// Package helm names the version of Helm that the chart is tested with.
package helm

import _ "helm.sh/helm/v3/cmd/helm"
