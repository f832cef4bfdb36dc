package cluster

import (
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"strata/test/rig"
)

// Every overlay is what a real kube-apiserver takes, without a warning: no unknown field, nothing that Pod Security's
// restricted profile forbids.
func TestOverlaysAreAccepted(t *testing.T) {
	c := newCluster(t)
	c.kubectl("admin", "label", "namespace", "strata", "pod-security.kubernetes.io/enforce=restricted",
		"pod-security.kubernetes.io/warn=restricted")
	// An overlay brings its own.
	c.kubectl("admin", "delete", "apiservice", "v1."+group, "v1alpha1."+layersGroup)
	c.createNamespace(registryNamespace) // OpenShift's
	overlays, err := filepath.Glob("../../deploy/overlays/*")
	c.check(err)
	if len(overlays) < 3 {
		t.Fatalf("overlays: %v", overlays)
	}
	for _, overlay := range overlays {
		t.Run(filepath.Base(overlay), func(t *testing.T) {
			c.accepts(t, c.kubectl("admin", "kustomize", overlay))
		})
	}
}

// accepts checks that kube-apiserver takes an installation's manifests, strictly and without a warning.
func (c *cluster) accepts(t *testing.T, manifests string) {
	t.Helper()
	var taken []string
	for _, document := range strings.Split("\n"+manifests, "\n---\n") {
		var object struct {
			APIVersion, Kind string
			Metadata         struct{ Name string }
		}
		c.check(yaml.Unmarshal([]byte(document), &object))
		// cert-manager isn't here to take its own.
		if !strings.HasPrefix(object.APIVersion, "cert-manager.io/") {
			taken = append(taken, document)
		}
	}
	file := c.write("manifests.yaml", []byte(strings.Join(taken, "\n---\n")))
	out := c.kubectl("admin", "apply", "--dry-run=server", "--validate=strict", "-f", file)
	for _, line := range strings.Split(out, "\n") {
		// What the rig itself made by other means.
		if strings.Contains(line, "Warning") && !strings.Contains(line, "last-applied-configuration") {
			t.Error(line)
		}
	}
	rig.Contains(t, out, "deployment.apps/strata-apiserver created", "service/strata ")
}
