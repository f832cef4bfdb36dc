package store

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"strata/test/rig"
)

// The examples in the documentation of etcd's client, with what they print.
func TestEtcdsOwnExamplesRun(t *testing.T) {
	url := fmt.Sprintf("http://127.0.0.1:%d", rig.FreePort(t))
	// One of them waits for a second to hear of progress.
	process := rig.Start(t, rig.Strata(t, "strata-storage"), "serve", "--data-dir="+t.TempDir(),
		"--listen-client-urls="+url, "--watch-progress-notify-interval=200ms")
	store := &rig.Backend{Process: process, URL: url}
	store.Client(t)

	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	examples := exec.CommandContext(ctx, rig.Peer(t, "clientv3examples.test"), "-test.v")
	examples.Env = append(os.Environ(), "STRATA_STORE="+url)
	out, err := examples.CombinedOutput()
	if ran := strings.Count(string(out), "--- PASS: Example"); err != nil || ran < 17 {
		t.Errorf("%d passed, %v: %s", ran, err, out)
	}
}
