// Package kube pins the Kubernetes whose kube-apiserver and kube-controller-manager the tests of
// test/cluster run, and is built for that alone.
package kube

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver/app"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)
