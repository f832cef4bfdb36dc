//go:build tools

// Package krew names the version of krew that installs the plugin in a test.
package krew

import _ "sigs.k8s.io/krew/cmd/krew"
