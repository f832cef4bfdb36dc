package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"strata/test/rig"
)

// field is a number of KiB that the kernel tells of the process.
func (s *server) field(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	return rig.StatusField(string(text), name)
}

// askMuch asks for large answers at once, and returns what came: bodies by their forms, and how many errors.
func (s *server) askMuch() (bodies map[string][]string, failed map[int]int) {
	bodies, failed = map[string][]string{}, map[int]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 12 {
		form := []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"}[i%3]
		all.Add(1)
		go func() {
			defer all.Done()
			code, body := s.getAs(rig.LayersPath("demo", "huge"), adminToken, form)
			mu.Lock()
			defer mu.Unlock()
			if code == 200 {
				bodies[form] = append(bodies[form], body)
			} else {
				failed[code]++
			}
		}()
	}
	all.Wait()
	return bodies, failed
}

// With a quarter of the memory that large answers take beside what the process has idle, which isn't enough for one in
// YAML alone: each that comes is right, the others are errors, and whoever asks for little is answered all along. Now and
// then what is denied is what no request can be told, or somebody else's: hardly ever time after time.
func TestWithLessMemoryThanAnswersTakeNoneIsWrong(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	putLargeStream(t, b, "huge", 1500, 30)
	putLargeStream(t, b, "app", 2, 2)
	flags := []string{"--etcd-servers=" + b.URL, "--response-cache-bytes=0"}
	free := startServer(t, flags...)
	free.layers(t, "demo", "app")
	data, idle := free.field(t, "VmData"), free.field(t, "VmRSS")
	right, failed := free.askMuch()
	if len(failed) > 0 {
		t.Fatalf("with memory enough: %v", failed)
	}
	taken := free.field(t, "VmHWM") - idle
	free.Stop(syscall.SIGTERM)
	t.Logf("%d MiB more were taken", taken>>10)
	id := newIdentity(t)
	id.under = fmt.Sprintf("ulimit -d %d", data+taken/4)
	for range 5 {
		s := startServerAs(t, id, append(flags, "--rbac-file="+id.path("rbac.yaml"))...)
		harm := s.lacksMemory(t, right)
		if s.Stop(syscall.SIGTERM); harm == "" || t.Failed() {
			return
		}
		t.Log(harm)
	}
	t.Error("others were harmed each time")
}

// lacksMemory asks for more than there is memory for, while somebody asks for little, and says what harm that did him.
func (s *server) lacksMemory(t *testing.T, right map[string][]string) (harm string) {
	t.Helper()
	little := func() string {
		if code, body := s.get(rig.LayersPath("demo", "app"), adminToken); code != 200 {
			return fmt.Sprintf("%d %s", code, body)
		}
		return ""
	}
	var stop atomic.Bool
	var beside someone
	beside.since.Store(true)
	ended := make(chan struct{})
	go func() { defer close(ended); beside.reads(t, &stop, little) }()
	bodies, failed := s.askMuch()
	stop.Store(true)
	<-ended
	for form, got := range bodies {
		for _, body := range got {
			if body != right[form][0] {
				t.Errorf("%s: %d bytes that are wrong", form, len(body))
			}
		}
	}
	t.Logf("errors %v; beside them %d answers, the slowest after %v", failed, beside.answered, beside.slowest)
	after := little()
	if failed[0] > 0 || strings.HasPrefix(after, "0 ") {
		return s.endedForWantOfMemory(t)
	}
	if failed[500] == 0 || len(failed) > 1 || after != "" {
		t.Errorf("errors %v, and then %q", failed, after)
	}
	if beside.answered == 0 || len(beside.failed) > 0 {
		return fmt.Sprintf("%d answers beside them, and errors %v", beside.answered, beside.failed)
	}
	return ""
}

func (s *server) endedForWantOfMemory(t *testing.T) string {
	t.Helper()
	select {
	case <-s.Ended():
	case <-time.After(rig.Patience):
		t.Fatal("it gives no answers, and hasn't ended")
	}
	if code := s.Stop(syscall.SIGTERM); code != 1 {
		t.Errorf("exit code %d", code)
	}
	rig.Contains(t, s.Output(), "strata-apiserver: memory is denied")
	return "it ended"
}

// startAndEnd runs a program until it serves, or ends by itself, and returns its exit code and what it said last.
func startAndEnd(t *testing.T, cmd *exec.Cmd) (code int, last string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := func() string {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	rig.Eventually(t, "it serves, or ends", func() error {
		select {
		case <-ended:
			return nil
		default:
		}
		if !strings.Contains(said(), "Serving securely") {
			return fmt.Errorf("it said %s", said())
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		return nil
	})
	return cmd.ProcessState.ExitCode(), said()[strings.LastIndexByte(said(), '\n')+1:]
}

// With less and less memory a start comes to nothing at another place each time: the server is there, or says why it
// isn't.
func TestAStartWithoutItsMemorySaysSo(t *testing.T) {
	id := newIdentity(t)
	store := embedded(t)
	codes := map[int]int{}
	for mib := 1600; mib >= 1000; mib -= 50 {
		code, last := startAndEnd(t, exec.Command("bash", "-c", fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, mib<<10),
			rig.Strata(t, "strata-apiserver"), "--data-dir="+store, "--bind-address=127.0.0.1", "--secure-port=0",
			"--tls-cert-file="+id.path("serving.crt"), "--tls-private-key-file="+id.path("serving.key"),
			"--rbac-file="+id.path("rbac.yaml")))
		if codes[code]++; code != 0 && (code != 1 || !strings.HasPrefix(last, "strata-apiserver: ")) {
			t.Errorf("with %d MiB: exit code %d, %s", mib, code, last)
		}
	}
	if codes[1] == 0 {
		t.Errorf("it never lacked anything: %v", codes)
	}
}
