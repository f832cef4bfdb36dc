package attacks

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"strata/test/rig"
)

// More than load alone does on a slow machine; where that is more loaded than this, the test's own clock is late, too.
const latencyBound = 5 * time.Second

// A bystander reads all the time, over one HTTP/2 connection and, less often, over new ones, and notes how long
// that takes.
type bystander struct {
	t      *testing.T
	s      *server
	path   string
	want   string
	before int64
	bound  int64
	stop   chan struct{}
	done   sync.WaitGroup

	mu     sync.Mutex
	late   time.Duration // at most, of the test's own pauses
	worst  map[string]time.Duration
	served map[string]int
	wrong  error
}

// attend begins what every attack is judged by: somebody else is answered right, in time, and the server's memory
// grows by no more than `bound` bytes while it lasts.
func (s *server) attend(t *testing.T, bound int64) {
	t.Helper()
	s.attendTo(t, rig.LayersPath("demo", "app"), bound)
}

// attendTo is attend where it isn't layers that can be read meanwhile.
func (s *server) attendTo(t *testing.T, path string, bound int64) {
	t.Helper()
	kept := s.client()
	code, want := s.get(kept, path, modestToken)
	if code != 200 {
		t.Fatalf("before the attack: %d %s", code, want)
	}
	s.ForgetMost()
	before, _ := s.Memory()
	b := &bystander{t: t, s: s, path: path, want: want, before: before, bound: bound, stop: make(chan struct{}),
		worst: map[string]time.Duration{}, served: map[string]int{}}
	b.done.Add(2)
	go b.read("kept", 5*time.Millisecond, func() *http.Client { return kept })
	go b.read("new", 100*time.Millisecond, s.client)
	t.Cleanup(b.leave)
}

func (b *bystander) read(which string, pause time.Duration, client func() *http.Client) {
	defer b.done.Done()
	for {
		rested := time.Now()
		select {
		case <-b.stop:
			return
		case <-time.After(pause):
		}
		c := client()
		late := time.Since(rested) - pause
		begun := time.Now()
		code, body := b.s.get(c, b.path, modestToken)
		took := time.Since(begun)
		if which == "new" {
			c.CloseIdleConnections()
		}
		b.mu.Lock()
		b.late = max(b.late, late)
		b.worst[which] = max(b.worst[which], took)
		b.served[which]++
		if (code != 200 || body != b.want) && b.wrong == nil {
			b.wrong = fmt.Errorf("%s connection: %d %s", which, code, body)
		}
		b.mu.Unlock()
	}
}

func (b *bystander) leave() {
	close(b.stop)
	b.done.Wait()
	select {
	case <-b.s.Ended():
		b.t.Fatalf("the server has ended: %d", b.s.Stop(0))
	default:
	}
	if b.wrong != nil {
		b.t.Errorf("somebody else got a wrong answer: %v", b.wrong)
	}
	now, most := b.s.Memory()
	b.t.Logf("others: %d answers over a connection, worst %v; %d over new ones, worst %v; memory %+.1f MiB, %+.1f at most",
		b.served["kept"], b.worst["kept"].Round(time.Millisecond), b.served["new"], b.worst["new"].Round(time.Millisecond),
		float64(now-b.before)/(1<<20), float64(most-b.before)/(1<<20))
	if worst := max(b.worst["kept"], b.worst["new"]); worst > latencyBound+10*b.late {
		b.t.Errorf("somebody else waited %v, and the test %v for its own pauses", worst, b.late)
	}
	if most-b.before > b.bound {
		b.t.Errorf("%d MiB more, of %d that may be", (most-b.before)>>20, b.bound>>20)
	}
}
