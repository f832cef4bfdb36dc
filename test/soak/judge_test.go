package soak

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
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
	excused  int // errors that a fault explains
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
	kind        string // the code, or one of these
	what        string
}

const (
	noAnswer = "no answer" // or none that is whole
	notReady = "not ready" // says /readyz
	notYet   = "not yet"   // says a server that has just begun: 500, ServerTimeout
	behind   = "behind"    // a watch that ended before it told what was written before it began
)

func (j *judge) fails(a *answer) {
	kind := fmt.Sprint(a.code)
	if a.err != nil {
		kind = noAnswer
	} else if a.code == http.StatusInternalServerError && strings.HasPrefix(a.path, "/readyz") {
		kind = notReady
	} else if a.code == http.StatusInternalServerError && bytes.Contains(a.body, []byte("ServerTimeout")) {
		kind = notYet
	}
	j.isFailure(a, kind, a.String())
}

// isFailure is told with the lock held, as isWrong is.
func (j *judge) isFailure(a *answer, kind, what string) {
	j.failures = append(j.failures, failure{a.server, a.asked, a.ended, kind, what})
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
		j.fails(a)
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
			j.excused++
		case over:
			j.isWrong(f.what, fmt.Errorf("an error (%s) that isn't explained by %s", f.kind, w.faults.during(f)))
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
		w.noted.note(w.writer.Newest())
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
