// Package kine pins the kine that the tests run as kine-0.17, and is built for that alone.
package kine

import _ "github.com/k3s-io/kine/pkg/app"
