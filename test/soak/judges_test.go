package soak

import (
	"os"
	"strings"
	"testing"
	"time"
)

// measured is a series of an hour and a half, of one process.
func measured(t *testing.T, of func(minute int) sample) *series {
	t.Helper()
	file, err := os.Create(t.TempDir() + "/samples.csv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	s := &series{file: file}
	for minute := range 90 {
		taken := of(minute)
		taken.at = time.Duration(minute) * time.Minute
		s.add(taken)
	}
	return s
}

func TestWhatGrowsIsNotFlat(t *testing.T) {
	flat := sample{pid: 1, kib: 50 << 10, descriptors: 40, threads: 30}
	for name, one := range map[string]struct {
		of    func(minute int) sample
		lives int
		fails bool
	}{
		"flat":            {func(int) sample { return flat }, 1, false},
		"warms up":        {func(m int) sample { s := flat; s.kib += min(m, 8) << 10; return s }, 1, false},
		"up and down":     {func(m int) sample { s := flat; s.kib += m % 7 << 10; s.descriptors += m % 5; return s }, 1, false},
		"memory grows":    {func(m int) sample { s := flat; s.kib += m * 200; return s }, 1, true},
		"threads grow":    {func(m int) sample { s := flat; s.threads += m / 20; return s }, 1, true},
		"descriptors do":  {func(m int) sample { s := flat; s.descriptors += m / 4; return s }, 1, true},
		"ends in between": {func(m int) sample { s := flat; s.pid += m / 45; s.kib += m % 45 << 4; return s }, 2, false},
		"lives shortly":   {func(m int) sample { s := flat; s.pid += m / 10; s.kib += m % 10 << 12; return s }, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			lines, err := measured(t, one.of).growth("it")
			if (err != nil) != one.fails || len(lines) != one.lives {
				t.Errorf("%v: %s", err, strings.Join(lines, "\n"))
			}
		})
	}
}

func TestErrorsAreExplainedByWhatHitTheirServerThen(t *testing.T) {
	var l faultLog
	begun := time.Now().Add(-time.Hour)
	at := func(second int) time.Time { return begun.Add(time.Duration(second) * time.Second) }
	hitting := func(name, server string, kinds ...string) *window {
		return &window{fault: fault{name: name, hits: on([]string{server}, kinds)}, explained: map[string]int{}}
	}
	first, second := hitting("one", "a", "504", noAnswer), hitting("two", "b", "504")
	first.from, first.until, second.from = at(10), at(20), at(30)
	l.windows = []*window{first, second}
	for name, one := range map[string]struct {
		failure failure
		fault   string
	}{
		"during it":            {failure{server: "a", from: at(12), until: at(13)}, "one"},
		"it began meanwhile":   {failure{server: "a", from: at(8), until: at(11)}, "one"},
		"asked before its end": {failure{server: "a", from: at(19), until: at(25)}, "one"},
		"before it":            {failure{server: "a", from: at(8), until: at(9)}, ""},
		"after it":             {failure{server: "a", from: at(21), until: at(22)}, ""},
		"of another server":    {failure{server: "b", from: at(12), until: at(13)}, ""},
		"while it lasts":       {failure{server: "b", from: at(90), until: at(95)}, "two"},
		"another allowed kind": {failure{server: "a", from: at(12), until: at(13), kind: noAnswer}, "one"},
		"of no allowed kind":   {failure{server: "a", from: at(12), until: at(13), kind: "500"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if one.failure.kind == "" {
				one.failure.kind = "504"
			}
			if got, over := l.explains(one.failure); got != one.fault || !over {
				t.Errorf("%q, %v", got, over)
			}
		})
	}
	if fault, over := l.explains(failure{server: "a", from: time.Now(), until: time.Now(), kind: "504"}); fault != "" || over {
		t.Errorf("one that may be explained yet: %q, %v", fault, over)
	}
}

func TestAReadIsNoSlowerThanItsFaultHoldsItUp(t *testing.T) {
	for slowest, fails := range map[time.Duration]bool{2 * time.Second: false, 4 * time.Second: true} {
		var l faultLog
		w := l.open(fault{name: "one", holdsUp: time.Second})
		l.wrote(w, 2*time.Second)
		l.probed(w, &answer{asked: time.Now().Add(-slowest), ended: time.Now()})
		if err := l.close(w, 0); (err != nil) != fails {
			t.Errorf("%v: %v", slowest, err)
		}
	}
}
