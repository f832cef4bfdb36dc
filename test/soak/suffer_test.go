package soak

import (
	"fmt"
	"math/rand"
	"time"
)

// rightWithin is how long a server may take to answer right when a fault has ended.
const rightWithin = 20 * time.Second

// suffer lets a fault begin, last and end, and waits until all it hits answers right again.
func (w *world) suffer(f fault, r *rand.Rand) {
	window := w.faults.open(f)
	stop := w.probe(f, window)
	stopWrites := w.watchWrites(window)
	end := f.begin(w, r)
	select {
	case <-time.After(f.lasts):
	case <-w.stop:
	}
	end()
	ended := time.Now()
	for right := 0; right < 3; time.Sleep(100 * time.Millisecond) {
		if right++; w.allRight(f.hits) != nil {
			right = 0
		}
		if time.Since(ended) > rightWithin {
			w.t.Errorf("%v after %s the servers aren't right: %v", rightWithin, f.name, w.allRight(f.hits))
			break
		}
	}
	stop()
	stopWrites()
	if err := w.faults.close(window, time.Since(ended)); err != nil {
		w.t.Error(err)
	}
}

// watchWrites keeps for how long no write was acknowledged: until then nothing new can be read, either.
func (w *world) watchWrites(window *window) (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		newest, since := w.writer.Newest(), time.Now()
		for {
			select {
			case <-stopped:
				return
			case <-time.After(20 * time.Millisecond):
			}
			w.faults.wrote(window, time.Since(since))
			if now := w.writer.Newest(); now != newest {
				newest, since = now, time.Now()
			}
		}
	}()
	return func() { close(stopped); <-ended }
}

// allRight is an error unless each server answers what was acknowledged before.
func (w *world) allRight(hits map[string][]string) error {
	for name := range hits {
		s := w.server(name)
		c := s.client(false)
		c.http.Timeout = 2 * time.Second
		_, err := c.get("/readyz", "")
		if err == nil {
			_, err = c.get(s.probed.path(nil), "")
		}
		c.close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// probe asks each server that a fault hits the same, over and over, and keeps how long it took.
func (w *world) probe(f fault, window *window) (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{}, len(f.hits))
	for name := range f.hits {
		go func() {
			defer func() { ended <- struct{}{} }()
			s := w.server(name)
			c := s.client(false)
			defer c.close()
			for {
				select {
				case <-stopped:
					return
				case <-time.After(50 * time.Millisecond):
				}
				a := c.ask(ctx(), s.probed.path(nil), "")
				w.faults.probed(window, a)
				w.judge.take(w, a, s.probed.judge)
			}
		}()
	}
	return func() {
		close(stopped)
		for range f.hits {
			<-ended
		}
	}
}
