package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"strata/test/rig"
)

const auditAll = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"

// Command lines of both programs, and where they listen.
type program struct {
	name string
	args []string
	port int
}

func programs(t *testing.T) []program {
	id := newIdentity(t)
	id.write(t, "policy.yaml", []byte(auditAll))
	port, storePort := rig.FreePort(t), rig.FreePort(t)
	return []program{
		{"strata-apiserver", []string{"--data-dir=" + filepath.Join(t.TempDir(), "data"), "--bind-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", port), "--tls-cert-file=" + id.path("serving.crt"),
			"--tls-private-key-file=" + id.path("serving.key"), "--audit-policy-file=" + id.path("policy.yaml"),
			"--audit-log-path=-", "-v=3"}, port},
		{"strata-storage", []string{"serve", "--data-dir=" + filepath.Join(t.TempDir(), "data"),
			fmt.Sprintf("--listen-client-urls=http://127.0.0.1:%d", storePort)}, storePort},
	}
}

func (p program) awaitListening(t *testing.T) {
	t.Helper()
	rig.Eventually(t, p.name+" listens", func() error {
		connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.port))
		if err == nil {
			connection.Close()
		}
		return err
	})
}

// awaitEnd is the exit code; the test fails if there is none in time.
func awaitEnd(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(rig.Patience):
		_ = cmd.Process.Kill()
		<-ended
		t.Error("it doesn't end")
	}
	return cmd.ProcessState.ExitCode()
}

// startAndEnd runs it until it listens, and asks it to end then, which it does well.
func (p program) startAndEnd(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	p.awaitListening(t)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if code := awaitEnd(t, cmd); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Logs and the audit log go where nobody reads.
func TestTheEndWaitsForNoLog(t *testing.T) {
	for _, p := range programs(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(rig.Strata(t, p.name), p.args...)
			cmd.Stderr = rig.FullPipe(t)
			cmd.Stdout = cmd.Stderr
			p.startAndEnd(t, cmd)
		})
	}
}

// An error at the start that nobody reads is one all the same.
func TestAnErrorThatNobodyReadsEndsTheStart(t *testing.T) {
	for _, p := range programs(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.port))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() })
			cmd := exec.Command(rig.Strata(t, p.name), p.args...)
			cmd.Stderr = rig.FullPipe(t)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if code := awaitEnd(t, cmd); code != 1 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// A file that takes the number of a standard one would get the log.
func TestWithoutStandardErrorNoFileGetsTheLog(t *testing.T) {
	for _, p := range programs(t) {
		t.Run(p.name, func(t *testing.T) {
			cmd := exec.Command("sh", append([]string{"-c", `exec "$0" "$@" 2>&-`, rig.Strata(t, p.name)}, p.args...)...)
			p.startAndEnd(t, cmd)
			data := ""
			for _, arg := range p.args {
				if dir, found := strings.CutPrefix(arg, "--data-dir="); found {
					data = dir
				}
			}
			files, err := os.ReadDir(data)
			if err != nil || len(files) == 0 {
				t.Fatal(files, err)
			}
			for _, file := range files {
				if text, _ := os.ReadFile(filepath.Join(data, file.Name())); strings.Contains(string(text), "] \"S") {
					t.Errorf("%s holds the log: %.200q", file.Name(), text)
				}
			}
		})
	}
}

// startAudited is a server whose audit log is a pipe that nobody reads.
func startAudited(t *testing.T, flags ...string) *server {
	t.Helper()
	id := newIdentity(t)
	id.write(t, "policy.yaml", []byte(auditAll))
	if err := syscall.Mkfifo(id.path("audit"), 0o600); err != nil {
		t.Fatal(err)
	}
	return startServerAs(t, id, append(flags, "--data-dir="+filepath.Join(t.TempDir(), "data"), "--rbac-file="+id.path("rbac.yaml"),
		"--audit-policy-file="+id.path("policy.yaml"), "--audit-log-path="+id.path("audit"))...)
}

// Long URLs, and users that are others each time, cost the audit log what its queue may cost.
func TestAnAuditLogThatNobodyReadsHoldsUpNobody(t *testing.T) {
	const bound = 4 << 20
	s := startAudited(t, fmt.Sprintf("--audit-log-batch-buffer-bytes=%d", bound))
	before := s.metric(t, "process_resident_memory_bytes")
	long := strings.Repeat("<", 60_000)
	for i := 0; i < 500; i++ {
		if code, body := s.get("/nothing?"+long, adminToken); code != 404 {
			t.Fatalf("%d %.200s", code, body)
		}
	}
	for i := 0; i < 1000; i++ {
		request, err := http.NewRequest("GET", s.url+"/nothing", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+adminToken)
		request.Header.Set("Impersonate-User", fmt.Sprintf("%d-%s", i, long[:30_000]))
		response, err := s.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	if waiting := s.metric(t, "strata_audit_waiting_bytes"); waiting < bound/2 || waiting > bound {
		t.Errorf("%v bytes wait", waiting)
	}
	if lost := s.metric(t, `apiserver_audit_error_total{plugin="log"}`); lost == 0 {
		t.Error("none was lost")
	}
	if grown := s.metric(t, "process_resident_memory_bytes") - before; grown > 64<<20 {
		t.Errorf("%v MiB more", grown/(1<<20))
	}
	if code := s.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if said := s.Output(); !strings.Contains(said, `"Audit events are lost: `) {
		t.Error("nothing is said of it")
	}
}

// Lines of the access log cost what --log-buffer-bytes says while nobody reads it, and no request waits. With the
// default so few of them are kept.
func TestALogThatNobodyReadsHoldsUpNobody(t *testing.T) {
	const bound = 64 << 10
	for _, o := range []struct {
		flags string
		lost  bool
	}{{fmt.Sprintf("--log-buffer-bytes=%d", bound), true}, {"", false}} {
		id := newIdentity(t)
		if err := syscall.Mkfifo(id.path("log"), 0o600); err != nil {
			t.Fatal(err)
		}
		id.under = "exec 2<>" + id.path("log")
		s := startServerAs(t, id, append(strings.Fields(o.flags), "-v=3", "--data-dir="+filepath.Join(t.TempDir(), "data"),
			"--rbac-file="+id.path("rbac.yaml"))...)
		for range 500 {
			if code, body := s.get("/nothing?"+strings.Repeat("x", 2000), adminToken); code != 404 {
				t.Fatalf("%d %.200s", code, body)
			}
		}
		waiting, lost := s.metric(t, "strata_log_waiting_bytes"), s.metric(t, "strata_log_lost_lines_total")
		if o.lost && (lost == 0 || waiting > bound || waiting < bound/2) || !o.lost && (lost != 0 || waiting <= bound) {
			t.Errorf("%s: %v lines are lost, and %v bytes wait", o.flags, lost, waiting)
		}
	}
}

// Both programs' logs, and the audit log, go where nobody reads, with a line of each for every request: nobody is held up,
// neither while they are kept nor when they are lost.
func TestLogsThatNobodyReadsHoldUpNobody(t *testing.T) {
	pipe := rig.FullPipe(t)
	b := rig.StartBackend(t, "strata-storage", "-v=3")
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app"))
	id := newIdentity(t)
	id.write(t, "policy.yaml", []byte(auditAll))
	const kept = 64 << 10
	s := startServerAs(t, id, "--etcd-servers="+b.URL, "--rbac-file="+id.path("rbac.yaml"), "-v=3",
		fmt.Sprintf("--log-buffer-bytes=%d", kept), fmt.Sprintf("--audit-log-batch-buffer-bytes=%d", kept),
		"--audit-policy-file="+id.path("policy.yaml"), "--audit-log-path=-")
	for _, p := range []*rig.Process{s.Process, b.Process} {
		p.Stop(syscall.SIGTERM)
		p.LaunchWith(pipe)
	}
	s.awaitReady(t)
	slowest := time.Duration(0)
	ask := func() {
		t.Helper()
		begun := time.Now()
		s.layers(t, "demo", "app")
		slowest = max(slowest, time.Since(begun))
	}
	for _, lost := range []string{"strata_log_lost_lines_total", `apiserver_audit_error_total{plugin="log"}`} {
		rig.Eventually(t, lost, func() error {
			ask()
			if s.metric(t, lost) == 0 {
				return fmt.Errorf("none is lost")
			}
			return nil
		})
	}
	for range 500 {
		ask()
	}
	if slowest > 5*time.Second {
		t.Errorf("a read took %v", slowest)
	}
}

// An ordinary end loses nothing, however late the reader comes.
func TestTheAuditLogIsWrittenBeforeTheEnd(t *testing.T) {
	s := startAudited(t)
	const requests = 2000
	for i := 0; i < requests; i++ {
		s.get("/nothing", adminToken)
	}
	ended := make(chan int)
	go func() { ended <- s.Stop(syscall.SIGTERM) }()
	reader, err := os.Open(s.id.path("audit"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	if events := strings.Count(string(text), `"requestURI":"/nothing"`); events != 2*requests {
		t.Errorf("%d events of %d requests", events, requests)
	}
}

// A second signal doesn't wait for anybody.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	for _, p := range programs(t) {
		t.Run(p.name, func(t *testing.T) {
			cmd := exec.Command(rig.Strata(t, p.name), p.args...)
			cmd.Stderr = rig.FullPipe(t)
			cmd.Stdout = cmd.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			p.awaitListening(t)
			// What comes before the first has been taken is none of its own.
			ticker := time.NewTicker(20 * time.Millisecond)
			defer ticker.Stop()
			go func() {
				for range ticker.C {
					if cmd.Process.Signal(syscall.SIGTERM) != nil {
						return
					}
				}
			}()
			_ = awaitEnd(t, cmd)
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
				t.Errorf("%v", cmd.ProcessState)
			}
		})
	}
}

// What is said to a full disk, or to a pipe whose reader is gone, is lost, and nothing else.
func TestALogThatCannotBeWrittenIsNoFault(t *testing.T) {
	id := newIdentity(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	r, broken, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	r.Close()
	for name, stderr := range map[string]*os.File{"full disk": full, "no reader": broken} {
		t.Run(name, func(t *testing.T) {
			s := startServerAs(t, id, "--data-dir="+filepath.Join(t.TempDir(), "data"), "--rbac-file="+id.path("rbac.yaml"), "-v=3")
			s.Stop(syscall.SIGTERM)
			s.LaunchWith(stderr)
			s.awaitReady(t)
			rig.Eventually(t, "the loss is counted", func() error {
				if s.metric(t, "strata_log_lost_lines_total") == 0 {
					return fmt.Errorf("none is lost")
				}
				return nil
			})
			if code := s.Stop(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}
