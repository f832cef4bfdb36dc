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
	failed      map[string]int // by what was answered
}

// afterwards is how long after a fault what it began may still fail: a watch that broke is told so by the next read.
const afterwards = 3 * time.Second

func (l *faultLog) open(f fault) *window {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &window{fault: f, from: time.Now(), failed: map[string]int{}}
	l.windows = append(l.windows, w)
	return w
}

func (l *faultLog) close(w *window, right time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.until, w.right = time.Now().Add(afterwards), right
}

func (l *faultLog) probed(w *window, a *answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.reads++
	w.slowest = max(w.slowest, a.ended.Sub(a.asked))
	if a.err != nil {
		w.failed["no answer"]++
	} else if a.code != 200 {
		w.failed[fmt.Sprint(a.code)]++
	}
}

func (l *faultLog) wrote(w *window, gap time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.unwritten = max(w.unwritten, gap)
}

// explains names the fault during which something failed; over, if none is found and none can be found later.
func (l *faultLog) explains(f failure) (fault string, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.windows {
		if slices.Contains(w.hits, f.server) && f.until.After(w.from) && (w.until.IsZero() || f.from.Before(w.until)) {
			return w.name, true
		}
	}
	return "", time.Since(f.until) > time.Second
}

// table is a line for each fault that there was.
func (l *faultLog) table(excused map[string]int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var text strings.Builder
	fmt.Fprintf(&text, "%-28s %5s %8s %9s %9s %9s %7s  %s\n", "fault", "times", "reads", "slowest", "no write", "right in", "errors",
		"of the reads")
	for _, f := range faults {
		var sum window
		times, failed := 0, map[string]int{}
		for _, w := range l.windows {
			if w.name != f.name {
				continue
			}
			times++
			sum.reads += w.reads
			sum.slowest, sum.right = max(sum.slowest, w.slowest), max(sum.right, w.right)
			sum.unwritten = max(sum.unwritten, w.unwritten)
			for what, n := range w.failed {
				failed[what] += n
			}
		}
		if times > 0 {
			fmt.Fprintf(&text, "%-28s %5d %8d %8.2fs %8.2fs %8.2fs %7d  %s\n", f.name, times, sum.reads, sum.slowest.Seconds(),
				sum.unwritten.Seconds(), sum.right.Seconds(), excused[f.name], counted(failed))
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
