// Package soak reads everything that there is to read, of servers under which everything fails in turn, and looks that no
// answer is wrong, that errors come only where a fault explains them, and that nothing grows. See README.md.
package soak

import (
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"strata/test/rig"
)

// hours of the long form; 0: the short one.
func hours(t *testing.T) float64 {
	t.Helper()
	text := os.Getenv("STRATA_SOAK_HOURS")
	if text == "" {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n <= 0 {
		t.Fatalf("STRATA_SOAK_HOURS: %q is no number of hours", text)
	}
	return n
}

// Each fault and each rotation once, or at random times for as many hours as are asked for.
func TestNoAnswerIsWrongWhileEverythingFailsInTurn(t *testing.T) {
	lasts := time.Duration(hours(t) * float64(time.Hour))
	w := newWorld(t)
	if lasts > 0 {
		w.long = true
		w.say = func(format string, args ...any) { fmt.Printf(time.Now().Format("15:04:05 ")+format+"\n", args...) }
	}
	w.work()
	if w.long {
		w.atRandom(lasts)
	} else {
		w.inTurn()
	}
	w.finish()
}

// work starts all readers, and who judges them.
func (w *world) work() {
	seed := int64(0)
	begin := func(work func(seed int64)) {
		w.working.Add(1)
		seed++
		go work(seed)
	}
	for _, s := range w.servers {
		for range 3 {
			begin(func(seed int64) { w.read(s, s.asks, seed) })
		}
	}
	for _, s := range w.over() {
		for _, p := range []pace{steady, steady, steady, slow, never} {
			begin(func(seed int64) { w.watch(s, p, seed) })
		}
	}
	begin(func(int64) { w.sitUntilStopped() })
}

// sleep is a random time between two numbers of milliseconds; false if the world stops meanwhile.
func (w *world) sleep(least, most int, r *rand.Rand) bool {
	wait := least
	if r != nil {
		wait += r.Intn(most - least)
	}
	select {
	case <-w.stop:
		return false
	case <-time.After(time.Duration(wait) * time.Millisecond):
		return true
	}
}

// inTurn is everything once, each as short as it still shows.
func (w *world) inTurn() {
	random := rand.New(rand.NewSource(1))
	for _, r := range rotations {
		r.rotate(w, 1)
	}
	for _, f := range faults {
		f.lasts = min(f.lasts, time.Second)
		w.suffer(f, random)
	}
}

// atRandom is something every minute or so, in the order of chance, and a line a minute.
func (w *world) atRandom(lasts time.Duration) {
	seed := rig.Times("STRATA_SEED", int(time.Now().Unix()))
	w.say("STRATA_SEED=%d draws these lots again", seed)
	random := rand.New(rand.NewSource(int64(seed)))
	report := w.reporter()
	next := time.Now().Add(20 * time.Second)
	for n := 1; time.Since(w.begun) < lasts && !w.t.Failed() && w.judge.bearable(); time.Sleep(time.Second) {
		report()
		if time.Now().Before(next) {
			continue
		}
		if i := random.Intn(len(faults) + len(rotations)); i < len(faults) {
			if f := faults[i]; !f.rare || random.Intn(4) == 0 {
				w.suffer(f, random)
			}
		} else {
			rotations[i-len(faults)].rotate(w, n)
			n++
		}
		next = time.Now().Add(time.Duration(15+random.Intn(45)) * time.Second)
	}
}

// reporter says a line a minute, and takes a sample every ten seconds.
func (w *world) reporter() func() {
	for _, s := range w.servers {
		file := w.create(s.name + ".csv")
		fmt.Fprintln(file, "seconds,pid,kib,descriptors,threads")
		s.series.file = file
	}
	var sampled, said time.Time
	return func() {
		if time.Since(sampled) < 10*time.Second {
			return
		}
		sampled = time.Now()
		for _, s := range w.servers {
			if taken, err := w.sample(s); err == nil {
				s.series.add(taken)
			}
		}
		if time.Since(said) >= time.Minute {
			said = time.Now()
			w.say("%s", w.line())
		}
	}
}

func (w *world) line() string {
	j := &w.judge
	j.mu.Lock()
	line := fmt.Sprintf("minute %.0f: %d answers, %d events, %d wrong, %d errors by faults, %d waiting", time.Since(w.begun).Minutes(),
		j.answers, j.events, len(j.wrong), j.excused, len(j.waiting)+len(j.failures))
	j.mu.Unlock()
	for _, s := range w.servers {
		if n := len(s.series.samples); n > 0 {
			line += fmt.Sprintf("; %s %v", s.name, s.series.samples[n-1])
		}
	}
	return line
}

// finish lets the writer end, judges what came until then, and says how it was.
func (w *world) finish() {
	w.writer.End()
	time.Sleep(2 * time.Second)
	close(w.stop)
	w.working.Wait()
	time.Sleep(2 * time.Second)
	w.judge.sit(w)
	if n := len(w.judge.waiting) + len(w.judge.failures); n > 0 {
		w.t.Errorf("%d answers couldn't be judged", n)
	}
	if w.judge.answers == 0 || w.judge.events == 0 {
		w.t.Errorf("%d answers and %d events show nothing", w.judge.answers, w.judge.events)
	}
	for i, wrong := range w.judge.wrong {
		if i < 20 {
			w.t.Error(wrong)
		}
	}
	w.say("%s\n%s", w.line(), w.faults.table())
	for _, s := range w.servers {
		lines, err := s.series.growth(s.name)
		if err != nil {
			w.t.Error(err)
		}
		if len(lines) > 0 {
			w.say("%s", strings.Join(lines, "\n"))
		}
		select {
		case <-s.Ended():
			w.t.Errorf("%s has ended by itself", s.name)
		default:
		}
	}
}
