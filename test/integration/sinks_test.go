package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"strata/test/rig"
)

// fullPipe is the end to write to of a pipe that has no room, and that nobody reads.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close(); write.Close() })
	fd := int(write.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for size := 4096; size > 0; {
		if _, err := syscall.Write(fd, make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	return write
}

func dial(port int) error {
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	return connection.Close()
}

// The end comes in time although nobody takes what the programs say.
func TestTheEndWaitsForNoLog(t *testing.T) {
	id := newIdentity(t)
	port, storePort := rig.FreePort(t), rig.FreePort(t)
	programs := map[string][]string{
		"strata-apiserver": {"--data-dir=" + t.TempDir(), "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
			"--tls-cert-file=" + id.path("serving.crt"), "--tls-private-key-file=" + id.path("serving.key"),
			"--token-auth-file=" + id.path("tokens.csv"), "--rbac-file=" + id.path("rbac.yaml"), "-v=3"},
		"strata-storage": {"serve", "--data-dir=" + t.TempDir(), fmt.Sprintf("--listen-client-urls=http://127.0.0.1:%d", storePort)},
	}
	for name, args := range programs {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(rig.Strata(t, name), args...)
			cmd.Stderr = fullPipe(t)
			cmd.Stdout = cmd.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- cmd.Wait() }()
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			listening := port
			if name == "strata-storage" {
				listening = storePort
			}
			rig.Eventually(t, "it listens", func() error { return dial(listening) })
			_ = cmd.Process.Signal(syscall.SIGTERM)
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(rig.Patience):
				t.Fatal("it stays")
			}
		})
	}
}

// An audit log that takes nothing costs what its queue may cost, and nobody waits for it.
func TestAStuckAuditLogHoldsUpNobody(t *testing.T) {
	id := newIdentity(t)
	id.write(t, "policy.yaml", []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"))
	pipe := filepath.Join(t.TempDir(), "audit")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	s := startServerAs(t, id, "--data-dir="+t.TempDir(), "--rbac-file="+id.path("rbac.yaml"), "--audit-policy-file="+id.path("policy.yaml"),
		"--audit-log-path="+pipe, "--audit-log-batch-buffer-bytes=1048576")
	long := "/apis/image.openshift.io/v1/namespaces/demo/imagestreams/" + strings.Repeat("<", 8000) + "/layers"
	for i := 0; i < 300; i++ {
		if code, body := s.get(long, adminToken); code != 404 {
			t.Fatalf("%d %.200s", code, body)
		}
	}
	if bytes := s.metric(t, "strata_audit_queue_bytes"); bytes > 1<<20 {
		t.Errorf("%v bytes wait", bytes)
	}
	if lost := s.metric(t, `apiserver_audit_error_total{plugin="log"}`); lost == 0 {
		t.Error("none was lost")
	}
	if code := s.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
