package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"strata/test/rig"
)

// A backend that is put back while the server isn't connected, and comes to the same revision again by the same key with
// another value: nothing that it says of itself tells. Etcd keeps its cluster id, member id and terms where its directory
// was copied, as where it is restored with the same flags.
func TestAHistoryThatDivergedAtTheSameRevisionIsNoticed(t *testing.T) {
	rig.ForEachBackend(t, func(t *testing.T, name string) {
		dir := t.TempDir()
		port := rig.FreePort(t)
		peers := fmt.Sprintf("http://127.0.0.1:%d", rig.FreePort(t))
		var flags []string
		if strings.HasPrefix(name, "etcd") {
			flags = []string{"--listen-peer-urls=" + peers, "--initial-advertise-peer-urls=" + peers, "--initial-cluster=default=" + peers}
		}
		b := rig.StartBackendIn(t, name, filepath.Join(dir, "data"), port, flags...)
		for i := 1; i <= 3; i++ {
			rig.Put(t, b.Client(t), rig.ImageKey(rig.Digest(i)), rig.ImageValue(t, rig.Digest(i), rig.Digest(10+i)))
		}
		rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(1)))
		b.Stop(syscall.SIGTERM)
		copyDirectory(t, b.Dir, filepath.Join(dir, "saved"))
		b.Launch()
		s := startServer(t, "--etcd-servers="+b.URL)
		lost := rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(2)))
		rig.Contains(t, s.layers(t, "demo", "app"), rig.Digest(12))
		b.Stop(syscall.SIGTERM)
		if err := os.RemoveAll(b.Dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "saved"), b.Dir); err != nil {
			t.Fatal(err)
		}
		// Aside, so that the server isn't there while it comes to that revision again.
		elsewhere := rig.StartBackendIn(t, name, b.Dir, rig.FreePort(t), flags...)
		instead := rig.Put(t, elsewhere.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(3)))
		elsewhere.Stop(syscall.SIGTERM)
		if lost != instead {
			t.Fatalf("revision %d was to be %d", instead, lost)
		}
		b.Launch()
		b.Client(t)
		rig.Eventually(t, "the store's own state is answered", func() error {
			code, body := s.get(rig.LayersPath("demo", "app"), adminToken)
			if code != 200 || !strings.Contains(body, rig.Digest(13)) {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
	})
}

func copyDirectory(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}
