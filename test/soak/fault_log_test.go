package soak

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A faultLog knows when which server was hit by what, and how it bore it.
type faultLog struct {
	mu      sync.Mutex
	windows []*window
}

type window struct {
	fault
	from, until time.Time // until: zero while it lasts
	right       time.Duration
	slowest     time.Duration
	unwritten   time.Duration // the longest time without a write
	reads       int
	explained   map[string]int // errors, by their kind
}

// afterwards is how long after a fault what it began may still fail: a watch that broke is told so by the next read.
const afterwards = 3 * time.Second

func (l *faultLog) open(f fault) *window {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &window{fault: f, from: time.Now(), explained: map[string]int{}}
	l.windows = append(l.windows, w)
	return w
}

// close is an error if a read took longer than it may.
func (l *faultLog) close(w *window, right time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.until, w.right = time.Now().Add(afterwards), right
	if w.slowest > w.unwritten+w.holdsUp {
		return fmt.Errorf("%s: a read took %v, where nothing could be written for %v", w.name, w.slowest, w.unwritten)
	}
	return nil
}

func (l *faultLog) probed(w *window, a *answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.reads++
	w.slowest = max(w.slowest, a.ended.Sub(a.asked))
}

func (l *faultLog) wrote(w *window, gap time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.unwritten = max(w.unwritten, gap)
}

// explains names a fault that hit the server when something failed, and allows such an error; over, if none is found and
// none can be found later.
func (l *faultLog) explains(f failure) (fault string, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.windows {
		if slices.Contains(w.hits[f.server], f.kind) &&
			f.until.After(w.from) && (w.until.IsZero() || f.from.Before(w.until)) {
			w.explained[f.kind]++
			return w.name, true
		}
	}
	return "", time.Since(f.until) > time.Second
}

// during names the faults that there were, whomever they hit.
func (l *faultLog) during(f failure) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for _, w := range l.windows {
		if f.until.After(w.from) && (w.until.IsZero() || f.from.Before(w.until)) {
			names = append(names, w.name)
		}
	}
	if names == nil {
		return "no fault"
	}
	return strings.Join(names, ", ")
}

// table is a line for each fault that there was.
func (l *faultLog) table() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var text strings.Builder
	fmt.Fprintf(&text, "%-28s %5s %8s %9s %9s %9s  %s\n", "fault", "times", "reads", "slowest", "no write", "right in", "errors")
	for _, f := range faults {
		times, sum := 0, window{explained: map[string]int{}}
		for _, w := range l.windows {
			if w.name != f.name {
				continue
			}
			times++
			sum.reads += w.reads
			sum.slowest, sum.right = max(sum.slowest, w.slowest), max(sum.right, w.right)
			sum.unwritten = max(sum.unwritten, w.unwritten)
			for kind, n := range w.explained {
				sum.explained[kind] += n
			}
		}
		if times > 0 {
			fmt.Fprintf(&text, "%-28s %5d %8d %8.2fs %8.2fs %8.2fs  %s\n", f.name, times, sum.reads, sum.slowest.Seconds(),
				sum.unwritten.Seconds(), sum.right.Seconds(), counted(sum.explained))
		}
	}
	return text.String()
}

func counted(n map[string]int) string {
	var parts []string
	for what, times := range n {
		parts = append(parts, fmt.Sprintf("%s: %d", what, times))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
