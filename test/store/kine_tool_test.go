package store

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"strata/test/rig"
)

// kine takes transactions of one key, and lists folders: the tool asks for no more, and what can't be read whole is
// refused, never printed in part.
func TestTheToolReadsAndWritesKine(t *testing.T) {
	for _, name := range rig.Kines() {
		t.Run(name, func(t *testing.T) {
			b := rig.StartBackend(t, name)
			samples, err := filepath.Abs("../../deploy/samples")
			if err != nil {
				t.Fatal(err)
			}
			run := func(code int, want string, args ...string) string {
				t.Helper()
				out, err := exec.Command(rig.Strata(t, "strata-storage"), append(args, "--etcd-servers="+b.URL)...).CombinedOutput()
				got := 0
				if exit, ok := err.(*exec.ExitError); ok {
					got = exit.ExitCode()
				} else if err != nil {
					t.Fatal(err)
				}
				if got != code || !strings.Contains(string(out), want) {
					t.Errorf("strata-storage %s: exit code %d, not %d, and %q in\n%s", strings.Join(args, " "), got, code, want, out)
				}
				return string(out)
			}
			run(0, "16 written, 0 unchanged, 0 bad", "load", samples)
			run(0, "0 written, 16 unchanged, 0 bad", "load", samples)
			changed := filepath.Join(t.TempDir(), "changed.yaml")
			if err := os.WriteFile(changed, []byte(stream+"s\n  annotations: {x: one}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			run(0, "1 written, 0 unchanged, 0 bad", "load", changed)
			if err := os.WriteFile(changed, []byte(stream+"s\n  annotations: {x: two}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			run(0, "1 written, 0 unchanged, 0 bad", "load", changed)
			run(0, "x: two", "get", "is", "ns/s")
			run(0, "kind: ImageStream", "get", "imagestream", "demo/nodejs")
			run(1, "no such record", "get", "is", "ns/none")
			if dumped := run(0, "name: s", "dump"); strings.Count(dumped, "\nkind: Image") != 17 {
				t.Errorf("dump: %d records", strings.Count(dumped, "\nkind: Image"))
			}
			run(0, "0 unreadable, 1 missing images, 0 missing manifests", "verify")
			run(1, "give --key-prefix=/FOLDER/", "dump", "--raw")
			run(1, "give --key-prefix=/FOLDER/", "dump", "--raw", "--key-prefix=/openshift.io/images")
			raw := run(0, `{"key":"`, "dump", "--raw", "--key-prefix=/openshift.io/")
			if strings.Count(raw, `{"key":`) != 17 || !strings.HasSuffix(raw, "\n"+`{"keys":"17"}`+"\n") {
				t.Errorf("dump --raw: %s", raw)
			}
			file := filepath.Join(t.TempDir(), "raw")
			if err := os.WriteFile(file, []byte(raw), 0o600); err != nil {
				t.Fatal(err)
			}
			run(0, "0 written, 17 unchanged, 0 bad", "load", "--raw", file)
		})
	}
}
