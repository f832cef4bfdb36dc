package soak

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// A judge says which answers are wrong, and which errors nothing explains.
type judge struct {
	mu       sync.Mutex
	answers  int
	events   int // of watches
	waiting  []pending
	failures []failure
	excused  map[string]int // errors that a fault explains, by the fault
	wrong    []string
	before   map[string][]byte
}

// pending waits until all is known that it is judged by.
type pending struct {
	verdict
	what string
}

// A failure is a request that was answered with an error, or not at all.
type failure struct {
	server      string
	from, until time.Time
	what        string
}

func (j *judge) take(w *world, a *answer, judge func(*answer) verdict) {
	failed := a.err != nil || a.code != http.StatusOK && !a.isMissing()
	var v verdict
	if !failed {
		v = judge(a)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case failed:
		j.failures = append(j.failures, failure{a.server, a.asked, a.ended, a.String()})
	case v.err != nil:
		j.isWrong(a.String(), v.err)
	default:
		j.answers++
		j.wait(v, a.String())
	}
}

// wait keeps what is to be judged later; with the lock held.
func (j *judge) wait(v verdict, what string) {
	if v.check != nil {
		j.waiting = append(j.waiting, pending{v, what})
	}
}

func (j *judge) isWrong(what string, err error) {
	if j.wrong = append(j.wrong, fmt.Sprintf("%s: %v", what, err)); len(j.wrong) > 100 {
		j.wrong = j.wrong[:100]
	}
}

// bearable: not so much is wrong yet that more would tell nothing.
func (j *judge) bearable() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.wrong) < 20
}

func (j *judge) sameAsBefore(a *answer) error {
	key := a.path + " as " + a.accept
	if j.before == nil {
		j.before = map[string][]byte{}
	}
	first, known := j.before[key]
	if !known {
		j.before[key] = a.body
		return nil
	}
	if !bytes.Equal(first, a.body) {
		return fmt.Errorf("it was %.300s", first)
	}
	return nil
}

// sit judges what can be judged now.
func (j *judge) sit(w *world) {
	settled := w.writer.Settled()
	known := timelines{}
	for _, resource := range []string{"imagestreams", "images"} {
		known[resource] = w.writer.Timeline(resource)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var later []pending
	for _, p := range j.waiting {
		if p.upTo > settled {
			later = append(later, p)
		} else if err := p.check(known); err != nil {
			j.isWrong(p.what, err)
		}
	}
	j.waiting = later
	j.explain(w)
}

// explain looks at failures for which it is known by now what was wrong then; with the lock held.
func (j *judge) explain(w *world) {
	var later []failure
	for _, f := range j.failures {
		switch fault, over := w.faults.explains(f); {
		case fault != "":
			if j.excused == nil {
				j.excused = map[string]int{}
			}
			j.excused[fault]++
		case over:
			j.isWrong(f.what, fmt.Errorf("an error that no fault explains"))
		default:
			later = append(later, f)
		}
	}
	j.failures = later
}

func (w *world) sitUntilStopped() {
	defer w.working.Done()
	forget := time.Now()
	var old []int64 // revisions, one a minute
	for w.sleep(200, 201, nil) {
		w.judge.sit(w)
		if time.Since(forget) < time.Minute {
			continue
		}
		forget = time.Now()
		if old = append(old, w.writer.Settled()); len(old) > 5 {
			w.writer.Forget(old[0])
			old = old[1:]
		}
	}
}
