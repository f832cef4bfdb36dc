package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"strata/test/rig"
)

// Each kine's own subset of etcd's API is enough at the start and on the way back, and another database behind the same
// address is seen.
func TestKineIsFollowedOverItsRestarts(t *testing.T) {
	for _, name := range rig.Kines() {
		t.Run(name, func(t *testing.T) {
			dir, port := t.TempDir(), rig.FreePort(t)
			b := rig.StartBackendIn(t, name, filepath.Join(dir, "one"), port)
			write := func(b *rig.Backend, image int) {
				t.Helper()
				c := b.Client(t)
				value := rig.ImageValue(t, rig.Digest(image), rig.Digest(1000+image))
				rig.WriteAsKube(t, c, rig.ImageKey(rig.Digest(image)), &value)
				stream := rig.StreamValue(t, "demo", "app", rig.Digest(image))
				rig.WriteAsKube(t, c, rig.StreamKey("demo", "app"), &stream)
			}
			write(b, 1)
			s := startServer(t, "--etcd-servers="+b.URL)
			read := func(image int) {
				t.Helper()
				rig.Eventually(t, "what was written is read", func() error {
					code, body := s.get(rig.LayersPath("demo", "app"), adminToken)
					if code != 200 || !strings.Contains(body, rig.Digest(1000+image)) {
						return fmt.Errorf("%d %s", code, body)
					}
					return nil
				})
			}
			read(1)
			write(b, 2)
			read(2)
			for round := 3; round < 6; round++ {
				b.Stop(syscall.SIGTERM)
				b.Launch()
				write(b, round)
				read(round)
			}
			c := b.Client(t)
			rig.WriteAsKube(t, c, rig.StreamKey("demo", "app"), nil)
			rig.Eventually(t, "a deletion is seen", func() error {
				if code, body := s.get(rig.LayersPath("demo", "app"), adminToken); code != 404 {
					return fmt.Errorf("%d %s", code, body)
				}
				return nil
			})
			// Another database, which comes to the same revisions by the same keys.
			b.Stop(syscall.SIGTERM)
			other := rig.StartBackendIn(t, name, filepath.Join(dir, "other"), port)
			write(other, 7)
			read(7)
		})
	}
}
