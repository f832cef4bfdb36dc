package cluster

import (
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// eachInstallation shows the manifests of each overlay, and of the component that none of them has.
func eachInstallation(t *testing.T, show func(t *testing.T, manifests string)) {
	t.Helper()
	overlays, err := filepath.Glob("../../deploy/overlays/*")
	if err != nil || overlays == nil {
		t.Fatal(err, overlays)
	}
	for _, folder := range overlays {
		t.Run(filepath.Base(folder), func(t *testing.T) { show(t, kustomize(t, folder)) })
	}
	t.Run("etcd", func(t *testing.T) { show(t, kustomize(t, withComponents(t, "base", "etcd", "labels"))) })
}

// of are the objects of a kind, by name.
func of[T any](t *testing.T, manifests, kind string) map[string]T {
	t.Helper()
	found := map[string]T{}
	for _, document := range strings.Split("\n"+manifests, "\n---\n") {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
		}
		var typed T
		if err := yaml.Unmarshal([]byte(document), &object); err != nil || object.Kind != kind {
			continue
		}
		if err := yaml.Unmarshal([]byte(document), &typed); err != nil {
			t.Fatal(err)
		}
		found[object.Metadata.Name] = typed
	}
	return found
}

// A store with an alarm, or that refuses writes, isn't ready, and serves what it can: there is no other one to ask.
func TestAStoreThatIsNotReadyIsStillFound(t *testing.T) {
	stores := 0
	eachInstallation(t, func(t *testing.T, manifests string) {
		for name, service := range of[corev1.Service](t, manifests, "Service") {
			if service.Spec.ClusterIP != corev1.ClusterIPNone {
				continue
			}
			stores++
			if !service.Spec.PublishNotReadyAddresses {
				t.Errorf("%s has no address while it isn't ready", name)
			}
		}
	})
	if stores < 3 {
		t.Errorf("%d stores", stores)
	}
}
