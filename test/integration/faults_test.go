package integration

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// A trouble is what befalls the way between a server and one that it asks.
type trouble struct {
	name   string
	fault  rig.Fault
	reset  time.Duration // connections are reset so often
	lasts  time.Duration
	passes bool // every request is answered right all the same
}

var troubles = []trouble{
	{name: "silent", fault: rig.Fault{Silent: true}, lasts: 8 * time.Second},
	{name: "200 ms", fault: rig.Fault{Delay: 200 * time.Millisecond}, lasts: 2 * time.Second, passes: true},
	{name: "1 KB a second", fault: rig.Fault{Rate: 1000}, lasts: 3 * time.Second},
	{name: "7 bytes a piece", fault: rig.Fault{Slice: 7}, lasts: 2 * time.Second, passes: true},
	{name: "bits flipped", fault: rig.Fault{Flip: 3000}, lasts: 2 * time.Second},
	{name: "pieces twice", fault: rig.Fault{Twice: 10}, lasts: 2 * time.Second},
	{name: "cut after 3 KB", fault: rig.Fault{Cut: 3000}, reset: time.Hour, lasts: 2 * time.Second},
	{name: "reset", reset: 300 * time.Millisecond, lasts: 2 * time.Second},
}

// befall lets it last, and ends it.
func (o trouble) befall(p *rig.Proxy) {
	p.Set(o.fault)
	defer p.Set(rig.Fault{})
	for end := time.Now().Add(o.lasts); time.Now().Before(end); {
		if o.reset == 0 {
			time.Sleep(o.lasts)
			return
		}
		p.Reset()
		time.Sleep(min(o.reset, o.lasts))
	}
}

// Someone who reads all the time, one request after the other, and what came of it.
type someone struct {
	since    atomic.Bool // the trouble has begun, and so figures count
	slowest  time.Duration
	answered int
	failed   map[string]int
}

// reads goes on until stop, or something wrong; read says what a request was answered, "" being right.
func (s *someone) reads(t *testing.T, stop *atomic.Bool, read func() string) {
	s.failed = map[string]int{}
	for !stop.Load() && !t.Failed() {
		begun := time.Now()
		failure := read()
		if !s.since.Load() {
			continue
		}
		s.slowest = max(s.slowest, time.Since(begun))
		if failure == "" {
			s.answered++
		} else {
			s.failed[failure]++
		}
	}
}

// endure lets a trouble befall the way while somebody reads, and says until when nothing was right again.
func endure(t *testing.T, p *rig.Proxy, o trouble, read func() string) {
	t.Helper()
	var stop atomic.Bool
	var one someone
	var reading sync.WaitGroup
	reading.Add(1)
	go func() { defer reading.Done(); one.reads(t, &stop, read) }()
	time.Sleep(200 * time.Millisecond)
	one.since.Store(true)
	o.befall(p)
	ended := time.Now()
	rig.Eventually(t, "all is right again", func() error {
		if failure := read(); failure != "" {
			return fmt.Errorf("%s", failure)
		}
		return nil
	})
	right := time.Since(ended)
	stop.Store(true)
	reading.Wait()
	t.Logf("%-16s %5d answers, the slowest after %.2fs, failures %v; right again after %.2fs", o.name, one.answered,
		one.slowest.Seconds(), one.failed, right.Seconds())
	if o.passes && len(one.failed) > 0 {
		t.Errorf("it failed: %v", one.failed)
	}
}

// writes puts one stream after the other under the same name, each of an image with a layer of its own, until stop.
func (h *history) writes(t *testing.T, c *clientv3.Client, stop *atomic.Bool) {
	for i := 1; !stop.Load(); i++ {
		layer := rig.Digest(500_000 + i)
		ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
		_, err := c.Put(ctx, rig.ImageKey(rig.Digest(i)), rig.ImageValue(t, rig.Digest(i), layer))
		if err == nil {
			h.begin(layer)
			var response *clientv3.PutResponse
			response, err = c.Put(ctx, rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(i)))
			h.end(response, err)
		}
		cancel()
		time.Sleep(10 * time.Millisecond)
	}
}

func (h *history) begin(layer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = layer
}

func (h *history) end(response *clientv3.PutResponse, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unsure = err != nil; h.unsure {
		return
	}
	h.acked = response.Header.Revision
	h.image[h.acked] = h.next
	h.acks = append(h.acks, acknowledgement{h.acked, time.Now()})
}

func (h *history) newest() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.acked
}

// age is for how long a revision had been followed by another one.
func (h *history) age(revision int64, at time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := sort.Search(len(h.acks), func(i int) bool { return h.acks[i].revision > revision })
	if next == len(h.acks) {
		return 0
	}
	return max(0, at.Sub(h.acks[next].at))
}

// startWriting is a history that goes on until the test ends.
func startWriting(t *testing.T, c *clientv3.Client) *history {
	h := &history{image: map[int64]string{}}
	var stop atomic.Bool
	ended := make(chan struct{})
	go func() { defer close(ended); h.writes(t, c, &stop) }()
	t.Cleanup(func() { stop.Store(true); <-ended })
	rig.Eventually(t, "something is written", func() error {
		if h.newest() == 0 {
			return fmt.Errorf("nothing yet")
		}
		return nil
	})
	return h
}

// modest is an error if the process takes much more than it did.
type modest struct{ descriptors, threads float64 }

func (s *server) takes(t *testing.T) modest {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	return modest{s.metric(t, "process_open_fds"), float64(len(threads))}
}

func (s *server) tookNoMoreThan(t *testing.T, before modest) {
	t.Helper()
	now := s.takes(t)
	if now.descriptors > before.descriptors+16 || now.threads > before.threads+8 {
		t.Errorf("it took %v before, and takes %v", before, now)
	}
	select {
	case <-s.Ended():
		t.Error("it has ended")
	default:
	}
}

// Whatever happens on the way to an etcd: no answer is wrong or older than what was acknowledged, who can't be answered
// is told to come back, and soon after it has ended all is right again.
func TestNoAnswerIsWrongWhateverBefallsTheWayToEtcd(t *testing.T) {
	ca := rig.NewCA(t, "etcd")
	c := rig.StartClusterBehindTLS(t, 1, ca)
	p := rig.NewProxy(t, c.Members[0].URL)
	h := startWriting(t, c.Members[0].Client(t))
	s := startServer(t, append(credentials(t, ca), "--etcd-servers="+p.URL)...)
	before := s.takes(t)
	for _, o := range troubles {
		t.Run(o.name, func(t *testing.T) {
			endure(t, p, o, func() string {
				oldest := h.newest()
				code, body := s.get(rig.LayersPath("demo", "app"), adminToken)
				switch code {
				case 200:
					h.judge(t, oldest, body)
				case 504:
					rig.Contains(t, body, `"reason":"Timeout"`)
					return "504"
				default:
					t.Errorf("%d %s", code, body)
				}
				return ""
			})
		})
	}
	s.tookNoMoreThan(t, before)
}

// credentials are flags with a client certificate of an etcd's CA.
func credentials(t *testing.T, ca *rig.CA) []string {
	t.Helper()
	id := &identity{dir: t.TempDir()}
	certificate, key := ca.Client(t, "strata")
	id.write(t, "ca.crt", ca.PEM)
	id.write(t, "client.crt", certificate)
	id.write(t, "client.key", key)
	return []string{"--etcd-cafile=" + id.path("ca.crt"), "--etcd-certfile=" + id.path("client.crt"),
		"--etcd-keyfile=" + id.path("client.key")}
}

// kubeconfigFor is one for a server whose certificate is of the identity's CA.
func (id *identity) kubeconfigFor(t *testing.T, url, token string) string {
	t.Helper()
	id.write(t, "ca.crt", id.ca)
	id.write(t, "kubeconfig", []byte(fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: x,
clusters: [{name: c, cluster: {server: "%s", certificate-authority: ca.crt}}], users: [{name: u, user: {token: %s}}],
contexts: [{name: x, context: {cluster: c, user: u}}]}`, strings.Replace(url, "127.0.0.1", "localhost", 1), token)))
	return id.path("kubeconfig")
}
