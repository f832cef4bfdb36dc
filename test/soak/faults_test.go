package soak

import (
	"context"
	"fmt"
	"math/rand"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// A fault is something bad that begins and ends. Errors of the servers that it hits are explained by it until they
// answer right again.
type fault struct {
	name  string
	hits  []string // servers; none: no error is explained by it
	lasts time.Duration
	rare  bool
	begin func(w *world, r *rand.Rand) (end func())
}

var (
	overMembers = []string{"direct", "proxied"}
	none        = func() {}
)

// faults are all that there are. One at a time: with two of three members away nothing can be right.
var faults = []fault{
	{"member killed", overMembers, 3 * time.Second, false, func(w *world, r *rand.Rand) func() { return w.kill(r.Intn(3)) }},
	{"leader killed", overMembers, 3 * time.Second, false, func(w *world, _ *rand.Rand) func() { return w.kill(w.cluster.Leader(w.t)) }},
	{"member frozen", overMembers, 8 * time.Second, false, func(w *world, r *rand.Rand) func() {
		m := w.cluster.Members[r.Intn(3)]
		m.Signal(syscall.SIGSTOP)
		return func() { m.Signal(syscall.SIGCONT) }
	}},
	{"member parted", overMembers, 8 * time.Second, false, func(w *world, r *rand.Rand) func() {
		w.cluster.Part(r.Intn(3))
		return w.cluster.Join
	}},
	{"leader parted", overMembers, 8 * time.Second, false, func(w *world, _ *rand.Rand) func() {
		w.cluster.Part(w.cluster.Leader(w.t))
		return w.cluster.Join
	}},
	{"all members killed", overMembers, 3 * time.Second, true, func(w *world, _ *rand.Rand) func() {
		for _, m := range w.cluster.Members {
			m.Stop(syscall.SIGKILL)
		}
		return func() {
			for _, m := range w.cluster.Members {
				m.Launch()
			}
		}
	}},
	{"compacted", nil, 0, false, func(w *world, _ *rand.Rand) func() {
		_, _ = w.etcd.Compact(w.shortly(), w.writer.Newest())
		return none
	}},
	{"defragmented", overMembers, 0, false, func(w *world, r *rand.Rand) func() {
		_, _ = clientv3.NewMaintenance(w.etcd).Defragment(w.shortly(), w.cluster.Members[r.Intn(3)].URL)
		return none
	}},
	{"path silent", []string{"proxied"}, 8 * time.Second, false, onPath(rig.Fault{Silent: true})},
	{"path of 200 ms", []string{"proxied"}, 6 * time.Second, false, onPath(rig.Fault{Delay: 200 * time.Millisecond})},
	{"path of 7 bytes a piece", []string{"proxied"}, 3 * time.Second, false, onPath(rig.Fault{Slice: 7})},
	{"path of 2 KB/s", []string{"proxied"}, 6 * time.Second, false, onPath(rig.Fault{Rate: 2000})},
	{"path that flips bits", []string{"proxied"}, 4 * time.Second, false, onPath(rig.Fault{Flip: 5000})},
	{"path that repeats", []string{"proxied"}, 4 * time.Second, false, onPath(rig.Fault{Twice: 20})},
	{"path that cuts", []string{"proxied"}, 4 * time.Second, false, func(w *world, r *rand.Rand) func() {
		return onPath(rig.Fault{Cut: 1 + r.Intn(10_000)})(w, r)
	}},
	{"path reset", []string{"proxied"}, 0, false, pathReset},
	{"log read slowly", nil, 10 * time.Second, false, func(w *world, _ *rand.Rand) func() {
		w.log.slow.Store(true)
		return func() { w.log.slow.Store(false) }
	}},
	{"server ended", []string{"direct"}, 0, true, func(w *world, _ *rand.Rand) func() { return w.restart("direct", syscall.SIGTERM) }},
	{"server killed", []string{"direct"}, 0, true, func(w *world, _ *rand.Rand) func() { return w.restart("direct", syscall.SIGKILL) }},
	{"server on its store killed", []string{"own"}, 0, true, func(w *world, _ *rand.Rand) func() { return w.restart("own", syscall.SIGKILL) }},
}

func (w *world) shortly() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) kill(member int) func() {
	m := w.cluster.Members[member]
	m.Stop(syscall.SIGKILL)
	return m.Launch
}

// restart ends a server and has it back at once.
func (w *world) restart(name string, signal syscall.Signal) func() {
	s := w.server(name)
	s.Stop(signal)
	s.launch()
	return none
}

// onPath is a fault of the proxied server's way to each member.
func onPath(f rig.Fault) func(w *world, r *rand.Rand) func() {
	return func(w *world, _ *rand.Rand) func() {
		for _, p := range w.proxies {
			p.Set(f)
		}
		if f.Cut > 0 {
			w.reset()
		}
		return func() {
			for _, p := range w.proxies {
				p.Set(rig.Fault{})
			}
		}
	}
}

func pathReset(w *world, _ *rand.Rand) func() {
	w.reset()
	return none
}

func (w *world) reset() {
	for _, p := range w.proxies {
		p.Reset()
	}
}

// rightWithin is how long a server may take to answer right when a fault has ended.
const rightWithin = 30 * time.Second

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
	w.faults.close(window, time.Since(ended))
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
func (w *world) allRight(names []string) error {
	for _, name := range names {
		c := w.server(name).client(false)
		c.http.Timeout = 2 * time.Second
		_, err := c.get("/readyz", "")
		if err == nil && name != "own" {
			_, err = c.get(ofImages+"imagestreams?limit=1", "")
		}
		if err == nil {
			_, err = c.get(ofImages+"namespaces/own/imagestreams", "")
		}
		c.close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// probe reads the layers of a stream from each server that a fault hits, over and over, and keeps how long it took.
func (w *world) probe(f fault, window *window) (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{}, len(f.hits))
	for _, name := range f.hits {
		go func() {
			defer func() { ended <- struct{}{} }()
			c := w.server(name).client(false)
			defer c.close()
			path := ofImages + "imagestreams?limit=1"
			if name == "own" {
				path = ofImages + "namespaces/own/imagestreams/app-1/layers"
			}
			for {
				select {
				case <-stopped:
					return
				case <-time.After(50 * time.Millisecond):
				}
				a := c.ask(ctx(), path, "")
				w.faults.probed(window, a)
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
