package integration

import (
	"context"
	"fmt"
	"io"
	"net"
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

// One bad record of each kind among a thousand good ones: the others answer right, before and after a restart.
func TestBadRecordsHurtNobodyElse(t *testing.T) {
	rig.ForEachBackend(t, func(t *testing.T, name string) {
		b := rig.StartBackend(t, name)
		c := b.Client(t)
		good := rig.ImageValue(t, rig.Digest(1), rig.Digest(11))
		bad := map[string]string{
			"encrypted":  "k8s:enc:aescbc:v1:key1:\x01\x02\x03",
			"wrong-kind": rig.StreamValue(t, "demo", "x"),
			"truncated":  good[:len(good)/2],
			"random":     "\xde\xad\xbe\xef\x00\xff",
			"empty":      "",
			"depth-bomb": `{"kind":"Image","apiVersion":"v1","x":` + strings.Repeat("[", 100_000),
			"junk":       strings.Repeat("\xee", 1<<20),
			"no-json":    "{",
			"envelope":   "k8s\x00\xff\xff\xff\xff",
		}
		var values []string
		for i := 1; i <= 1000; i++ {
			values = append(values, rig.ImageKey(rig.Digest(i)), rig.ImageValue(t, rig.Digest(i), rig.Digest(10_000+i)))
			if len(values) == 200 {
				putAll(t, c, values...)
				values = nil
			}
		}
		for kind, value := range bad {
			rig.Put(t, c, rig.ImageKey(kind), value)
			if kind == "wrong-kind" {
				value = good // an Image where a stream is kept
			}
			rig.Put(t, c, rig.StreamKey("bad", kind), value)
			rig.Put(t, c, rig.StreamKey("demo", "with-"+kind), rig.StreamValue(t, "demo", "with-"+kind, rig.Digest(5), kind))
		}
		for i := 1; i <= 50; i++ {
			rig.Put(t, c, rig.StreamKey("demo", fmt.Sprint("app-", i)), rig.StreamValue(t, "demo", fmt.Sprint("app-", i), rig.Digest(i)))
		}
		s := startServer(t, "--etcd-servers="+b.URL)
		check := func() {
			t.Helper()
			for i := 1; i <= 50; i++ {
				rig.Contains(t, s.layers(t, "demo", fmt.Sprint("app-", i)), rig.Digest(10_000+i))
			}
			for kind := range bad {
				body := s.layers(t, "demo", "with-"+kind)
				rig.Contains(t, body, rig.Digest(10_005), fmt.Sprintf(`%q:{"imageMissing":true,"layers":null,"config":null}`, kind))
				if code, body := s.get(rig.LayersPath("bad", kind), adminToken); code != 500 || !strings.Contains(body, "can't be read") {
					t.Errorf("stream %s: %d %s", kind, code, body)
				}
			}
		}
		check()
		s.Stop(syscall.SIGTERM)
		s.Launch()
		s.awaitReady(t)
		check()
	})
}

// A TCP proxy before a backend that cuts each connection after so many bytes from the backend.
type cutter struct {
	listener net.Listener
	limit    atomic.Int64 // of the next connections; 0: none
}

func newCutter(t *testing.T, target string) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &cutter{listener: listener}
	rig.Accept(t, listener, func(in net.Conn) { p.serve(in, target) })
	return p
}

func (p *cutter) serve(in net.Conn, target string) {
	defer in.Close()
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer out.Close()
	go func() { _, _ = io.Copy(out, in) }()
	if limit := p.limit.Load(); limit > 0 {
		_, _ = io.CopyN(in, out, limit)
	} else {
		_, _ = io.Copy(in, out)
	}
}

// History of one stream: which body is right for which revision. Answers are judged by the revision they claim, and by
// what had been acknowledged when they were asked for.
type history struct {
	mu    sync.Mutex
	image map[int64]string // by the stream's revision
	acked int64
	acks  []acknowledgement

	next   string // is being written
	unsure bool   // whether the write before it was done
}

type acknowledgement struct {
	revision int64
	at       time.Time
}

// judge returns the revision that the answer claims.
func (h *history) judge(t *testing.T, before int64, body string) (revision int64) {
	t.Helper()
	at := strings.Index(body, `"resourceVersion":"`)
	if _, err := fmt.Sscanf(body[at+len(`"resourceVersion":"`):], "%d", &revision); err != nil {
		t.Errorf("no revision in %s", body)
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if revision < before {
		t.Errorf("an answer of revision %d after %d was acknowledged", revision, before)
	}
	want, known := h.image[revision]
	if !known && revision > h.acked && !h.unsure && h.next != "" {
		want, known = h.next, true // it isn't acknowledged yet
	}
	if known && !strings.Contains(body, want) {
		t.Errorf("revision %d without %s: %s", revision, want, body)
	}
	return revision
}

// Watches cut at random, compactions under the watch and restarts of the backend, while somebody writes and others
// read: every answer is right for its revision, and in the end the index equals a fresh server's.
func TestNoAnswerIsWrongWhileTheBackendMisbehaves(t *testing.T) {
	rig.ForEachBackend(t, func(t *testing.T, name string) {
		b := rig.StartBackend(t, name)
		c := b.Client(t)
		proxy := newCutter(t, strings.TrimPrefix(b.URL, "http://"))
		s := startServer(t, "--etcd-servers=http://"+proxy.listener.Addr().String())
		h := &history{image: map[int64]string{}}
		var stop atomic.Bool
		var group sync.WaitGroup
		group.Add(1)
		go func() { // the writer
			defer group.Done()
			h.writes(t, c, &stop)
		}()
		var answers atomic.Int64
		for r := 0; r < 2; r++ {
			group.Add(1)
			go func() { // readers
				defer group.Done()
				for !stop.Load() {
					h.mu.Lock()
					before := h.acked
					h.mu.Unlock()
					code, body := s.get(rig.LayersPath("demo", "app")+"?timeout=5s", adminToken)
					if code == 200 {
						h.judge(t, before, body)
						answers.Add(1)
					} else if code != 504 && (code != 404 || before > 0) { // nothing is ever deleted
						t.Errorf("%d %s; %d was acknowledged", code, body, before)
					}
				}
			}()
		}
		random := rig.Random()
		for limit := int64(1); limit < 400 && !t.Failed(); limit += 1 + random.Int63n(12) {
			proxy.limit.Store(limit + 100*random.Int63n(20))
			time.Sleep(15 * time.Millisecond)
			if random.Intn(8) == 0 {
				h.mu.Lock()
				revision := h.acked
				h.mu.Unlock()
				if revision > 0 {
					ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
					_, _ = c.Compact(ctx, revision)
					cancel()
				}
			}
		}
		proxy.limit.Store(0)
		b.Stop(syscall.SIGKILL)
		b.Launch()
		rig.Eventually(t, "the backend is back", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, err := c.Get(ctx, "/")
			return err
		})
		rig.Eventually(t, "reads go on", func() error {
			code, body := s.get(rig.LayersPath("demo", "app"), adminToken)
			if code != 200 {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
		stop.Store(true)
		group.Wait()
		if answers.Load() == 0 {
			t.Error("not one answer")
		}
		fresh := startServer(t, "--etcd-servers="+b.URL)
		if got, want := s.layers(t, "demo", "app"), fresh.layers(t, "demo", "app"); got != want {
			t.Errorf("after all:\n%s\na fresh server:\n%s", got, want)
		}
	})
}

// A backend that is put back to an older state: the index follows, and its answers are the old state's.
func TestARestoredBackendIsFollowedBack(t *testing.T) {
	dir := t.TempDir()
	b := rig.StartBackendIn(t, "strata-storage", filepath.Join(dir, "data"), rig.FreePort(t))
	c := b.Client(t)
	rig.Put(t, c, rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(1)))
	b.Stop(syscall.SIGTERM)
	if out, err := exec.Command("cp", "-a", b.Dir, filepath.Join(dir, "snapshot")).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	b.Launch()
	s := startServer(t, "--etcd-servers="+b.URL)
	for i := 0; i < 20; i++ {
		rig.Put(t, c, rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(100+i)))
	}
	rig.Contains(t, s.layers(t, "demo", "app"), rig.Digest(119))
	b.Stop(syscall.SIGTERM)
	if err := os.RemoveAll(b.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "snapshot"), b.Dir); err != nil {
		t.Fatal(err)
	}
	b.Launch()
	rig.Eventually(t, "the old state is answered", func() error {
		code, body := s.get(rig.LayersPath("demo", "app"), adminToken)
		if code != 200 || !strings.Contains(body, rig.Digest(1)) || strings.Contains(body, rig.Digest(119)) {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
}
