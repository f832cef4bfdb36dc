package integration

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"strata/test/rig"
)

// startLimited is a server over an etcd with a stream, by a shell that sets limits first.
func startLimited(t *testing.T, under string, flags ...string) *server {
	t.Helper()
	b := rig.StartBackend(t, "etcd-3.6")
	putLargeStream(t, b, "app", 2, 2)
	id := newIdentity(t)
	id.under = under
	return startServerAs(t, id, append(flags, "--etcd-servers="+b.URL, "--rbac-file="+id.path("rbac.yaml"))...)
}

// cpu is what a process has used.
func (s *server) cpu(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var user, system int64
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return time.Duration(user+system) * 10 * time.Millisecond
}

func dialWithin(patience time.Duration, address string) (*tls.Conn, error) {
	return tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, &tls.Config{InsecureSkipVerify: true})
}

// With a hundred descriptors more clients come than it can have: who is in is served, nothing spins, and who comes then
// gets in where somebody was idle.
func TestWithAHundredDescriptorsThoseWhoAreInAreServed(t *testing.T) {
	s := startLimited(t, "ulimit -n 100")
	path := rig.LayersPath("demo", "app")
	if code, body := s.get(path, adminToken); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	var strangers []*tls.Conn
	address := strings.TrimPrefix(s.url, "https://")
	for range 150 {
		asked := time.Now()
		c, err := dialWithin(300*time.Millisecond, address)
		if err == nil {
			strangers = append(strangers, c)
		}
		// At the limit a dial waits, until somebody is idle for long enough to give way.
		if len(strangers) > 10 && (err != nil || time.Since(asked) > 150*time.Millisecond) {
			break
		}
	}
	if len(strangers) < 10 || len(strangers) > 100 {
		t.Fatalf("%d strangers got in", len(strangers))
	}
	before, begun := s.cpu(t), time.Now()
	for time.Since(begun) < 2*time.Second {
		if code, body := s.get(path, adminToken); code != 200 {
			t.Fatalf("who was there before: %d %s", code, body)
		}
		time.Sleep(50 * time.Millisecond)
	}
	used := s.cpu(t) - before
	if used > time.Second {
		t.Errorf("%v of CPU in %v", used, time.Since(begun))
	}
	asked := time.Now()
	rig.Eventually(t, "others get in", func() error {
		c, err := dialWithin(time.Second, address)
		if err == nil {
			c.Close()
		}
		return err
	})
	t.Logf("%d strangers got in; %v of CPU in two seconds; others got in after %v", len(strangers), used, time.Since(asked))
	for _, c := range strangers {
		c.Close()
	}
}

// giveWay puts the process at the lowest priority, which at its start would cost whatever others beside the test take.
func (s *server) giveWay(t *testing.T) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", s.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		id, _ := strconv.Atoi(filepath.Base(thread))
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, 19); err != nil && err != syscall.ESRCH {
			t.Fatal(err)
		}
	}
}

// Under four busy processes for each core, at the lowest priority: nothing fails.
func TestWhereOthersTakeTheCPUNothingFails(t *testing.T) {
	s := startLimited(t, "")
	s.giveWay(t)
	for range 4 * runtime.NumCPU() {
		busy := exec.Command("nice", "-n", "10", "sh", "-c", "while :; do :; done")
		if err := busy.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = busy.Process.Kill(); _ = busy.Wait() })
	}
	var slowest time.Duration
	n := 0
	for begun := time.Now(); time.Since(begun) < 3*time.Second; n++ {
		asked := time.Now()
		for _, path := range []string{"/readyz", rig.LayersPath("demo", "app")} {
			if code, body := s.get(path, adminToken); code != 200 {
				t.Fatalf("%s: %d %s", path, code, body)
			}
		}
		slowest = max(slowest, time.Since(asked))
	}
	t.Logf("%d pairs of requests, the slowest in %v", n, slowest)
}

// asCertified is what somebody with a certificate is answered, over a connection of his own.
func (s *server) asCertified(t *testing.T, pair tls.Certificate, path string) int {
	t.Helper()
	connection, err := s.dial(t, pair)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	code, _, err := ask(connection, path)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// faketime is where Debian has the library.
func faketime(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
	if len(found) == 0 {
		t.Fatal("libfaketime is needed; ./dev test installs it")
	}
	return found[0]
}

// A clock that jumps: certificates and tokens are judged by it, and nothing that is kept for a time is kept for longer.
func TestAClockThatJumpsHurtsNothingButWhatIsJudgedByIt(t *testing.T) {
	b, id, kube, _ := besideHostileKube(t)
	h := startWriting(t, b.Client(t))
	known := &atomic.Bool{}
	known.Store(true)
	tell := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if known.Load() {
			judgeOfReviews(w, r)
		} else {
			http.Error(w, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{}}`, http.StatusOK)
		}
	})
	kube.answer.Store(&tell)
	set := func(offset string) {
		t.Helper()
		id.write(t, "clock", []byte(offset+"\n"))
	}
	set("+0")
	id.under = "export LD_PRELOAD=" + faketime(t) + " FAKETIME_TIMESTAMP_FILE=" + id.path("clock") +
		" FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
	clients := rig.NewCA(t, "clients")
	id.write(t, "clients.crt", clients.PEM)
	pair, err := tls.X509KeyPair(clients.Otherwise(t, "somebody", func(c *x509.Certificate) {
		c.Subject.Organization = []string{"system:masters"}
		c.NotAfter = time.Now().Add(time.Hour)
	}))
	if err != nil {
		t.Fatal(err)
	}
	s := startServerAs(t, id, "--etcd-servers="+b.URL, "--kubeconfig="+id.path("kubeconfig"), "--authentication-skip-lookup",
		"--authorization-mode=Webhook", "--authentication-token-webhook-cache-ttl=2s", "--client-ca-file="+id.path("clients.crt"))
	path := rig.LayersPath("demo", "app")
	if code := s.asCertified(t, pair, path); code != 200 {
		t.Fatalf("a certificate of an hour: %d", code)
	}
	for _, jump := range []struct {
		offset string
		want   int // with a certificate that ends in an hour
	}{{"+2h", 401}, {"-2h", 401}, {"+0", 200}} {
		known.Store(true)
		token := "good-before-" + jump.offset
		if code, body := s.get(path, token); code != 200 {
			t.Errorf("before %s: %d %s", jump.offset, code, body)
		}
		set(jump.offset)
		for end := time.Now().Add(time.Second); time.Now().Before(end); {
			oldest := h.newest()
			code, body := s.get(path, adminToken)
			if code != 200 {
				t.Fatalf("at %s: %d %s", jump.offset, code, body)
			}
			h.judge(t, oldest, body)
		}
		known.Store(false)
		rig.Eventually(t, "a certificate of an hour is judged by the clock at "+jump.offset, func() error {
			if code := s.asCertified(t, pair, path); code != jump.want {
				return fmt.Errorf("%d", code)
			}
			return nil
		})
		rig.Eventually(t, "a token that isn't known any more is forgotten at "+jump.offset, func() error {
			if code, _ := s.get(path, token); code != 401 {
				return fmt.Errorf("%d", code)
			}
			return nil
		})
	}
}

// A disk that is full, under the copy of the records and the audit log.
func TestAFullDiskUnderCacheAndAuditLogHoldsUpNoLayers(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Fatalf("no file system can be mounted here: %s", out)
	}
	id := newIdentity(t)
	id.write(t, "policy.yaml", []byte(auditAll))
	id.under = `if [ -z "$MOUNTED" ]; then export MOUNTED=1; exec unshare -m bash -c "mount -t tmpfs -o size=128m tmpfs ` + disk +
		` && exec \"\$0\" \"\$@\"" "$0" "$@"; fi`
	b := rig.StartBackend(t, "etcd-3.6")
	writer := b.Client(t)
	putLargeStream(t, b, "app", 200, 5)
	s := startServerAs(t, id, "--etcd-servers="+b.URL, "--rbac-file="+id.path("rbac.yaml"), "--cache-dir="+disk+"/cache",
		"--audit-policy-file="+id.path("policy.yaml"), "--audit-log-path="+disk+"/audit")
	list := func() int {
		code, _ := s.get("/apis/image.openshift.io/v1/images?limit=1", adminToken)
		return code
	}
	if code := list(); code != 200 {
		t.Fatalf("a list with room: %d", code)
	}
	filler, err := os.Create(fmt.Sprintf("/proc/%d/root%s/filler", s.Pid(), disk))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = filler.Write(make([]byte, size))
		}
	}
	revision := int64(0)
	n := 0
	rig.Eventually(t, "the copy is given up", func() error {
		n++
		revision = rig.Put(t, writer, rig.ImageKey(rig.Digest(1)), rig.ImageValue(t, rig.Digest(1), rig.Digest(n), strings.Repeat("x", 200_000)))
		if ready := s.metric(t, "strata_replica_ready"); ready != 0 {
			return fmt.Errorf("it is there after %d changes", n)
		}
		return nil
	})
	if code := list(); code != 504 {
		t.Errorf("a list without a copy, at revision %d: %d", revision, code)
	}
	rig.Contains(t, s.layers(t, "demo", "app"), rig.Digest(n))
	rig.Eventually(t, "events are lost", func() error {
		s.layers(t, "demo", "app")
		if lost := s.metric(t, `apiserver_audit_error_total{plugin="log"}`); lost == 0 {
			return fmt.Errorf("none is lost")
		}
		return nil
	})
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	lost := s.metric(t, `apiserver_audit_error_total{plugin="log"}`)
	s.layers(t, "demo", "app")
	s.layers(t, "demo", "app")
	if now := s.metric(t, `apiserver_audit_error_total{plugin="log"}`); now != lost {
		t.Errorf("with room again %v events were lost, and now %v", lost, now)
	}
	room := time.Now()
	// Whether there is room is seen a minute after the copy was given up at the latest, and then each ten seconds, whatever
	// is written.
	rig.EventuallyWithin(t, 2*time.Minute, "lists are answered again", func() error {
		if code := list(); code != 200 {
			return fmt.Errorf("%d", code)
		}
		return nil
	})
	t.Logf("lists were answered %v after there was room", time.Since(room))
	s.Stop(syscall.SIGTERM)
	rig.Contains(t, s.Output(), "space")
}
