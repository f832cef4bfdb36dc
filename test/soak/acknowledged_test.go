package soak

import (
	"sort"
	"sync"
	"time"
)

// acknowledged remembers which revision was the newest at which time, of the last minute.
type acknowledged struct {
	mu    sync.Mutex
	times []time.Time
	was   []int64
}

func (a *acknowledged) note(revision int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times, a.was = append(a.times, time.Now()), append(a.was, revision)
	if time.Since(a.times[0]) > time.Minute {
		a.times, a.was = a.times[1:], a.was[1:]
	}
}

// at is the newest that was noted by then; 0 if that isn't known.
func (a *acknowledged) at(then time.Time) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	later := sort.Search(len(a.times), func(i int) bool { return a.times[i].After(then) })
	if later == 0 {
		return 0
	}
	return a.was[later-1]
}

// promised is a revision that no answer of the server to what is asked now is older than.
func (s *server) promised() int64 {
	if s.mayLag == 0 {
		return s.w.writer.Newest()
	}
	return s.w.noted.at(time.Now().Add(-s.mayLag))
}
