package soak

import (
	"fmt"
	"os"
	"slices"
	"time"

	"strata/test/rig"
)

// A sample is what a server's process takes at a moment.
type sample struct {
	at                   time.Duration // since the beginning
	pid                  int
	kib                  int // of memory that is its own; a file's pages are the kernel's
	descriptors, threads int
}

func (w *world) sample(s *server) (sample, error) {
	pid := s.Pid()
	taken := sample{at: time.Since(w.begun), pid: pid}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return taken, err
	}
	taken.kib = rig.StatusField(string(text), "RssAnon")
	taken.threads = rig.StatusField(string(text), "Threads")
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	taken.descriptors = len(open)
	return taken, err
}

func (s sample) String() string {
	return fmt.Sprintf("%d MiB, %d descriptors, %d threads", s.kib>>10, s.descriptors, s.threads)
}

// A series is the samples of one server; each is a line of a file, too.
type series struct {
	samples []sample
	file    *os.File
}

func (s *series) add(taken sample) {
	s.samples = append(s.samples, taken)
	fmt.Fprintf(s.file, "%.0f,%d,%d,%d,%d\n", taken.at.Seconds(), taken.pid, taken.kib, taken.descriptors, taken.threads)
}

// What a process may take more in an hour, once it has been warm: the middle of its first third against the last's.
const (
	warm           = 10 * time.Minute
	shortest       = 20 * time.Minute // life that is judged
	mibAnHour      = 8
	threadsAnHour  = 1
	descriptorsTop = 8 // clients come and go, so there are more at one time than at another
)

// growth says of each life of the process, long enough to tell, by how much it grew in an hour; an error if by too much.
func (s *series) growth(name string) (lines []string, err error) {
	for _, life := range lives(s.samples) {
		begin := 0
		for begin < len(life) && life[begin].at-life[0].at < warm {
			begin++
		}
		if life = life[begin:]; len(life) < 9 || life[len(life)-1].at-life[0].at < shortest-warm {
			continue
		}
		third := len(life) / 3
		first, last := life[:third], life[2*third:]
		hours := (last[third/2].at - first[third/2].at).Hours()
		grown := func(of func(sample) int) float64 { return float64(middle(last, of)-middle(first, of)) / hours }
		mib := grown(func(s sample) int { return s.kib }) / 1024
		descriptors := middle(last, descriptorsOf) - middle(first, descriptorsOf)
		threads := grown(func(s sample) int { return s.threads })
		line := fmt.Sprintf("%s, process %d, %.2f h warm: %+.1f MiB/h from %d MiB, %+d descriptors from %d, %+.1f threads/h from %d",
			name, life[0].pid, (life[len(life)-1].at - life[0].at).Hours(), mib, middle(first, func(s sample) int { return s.kib })>>10,
			descriptors, middle(first, descriptorsOf), threads, middle(first, func(s sample) int { return s.threads }))
		lines = append(lines, line)
		if mib > mibAnHour || descriptors > descriptorsTop || threads > threadsAnHour {
			err = fmt.Errorf("it isn't flat: %s", line)
		}
	}
	return lines, err
}

func descriptorsOf(s sample) int { return s.descriptors }

// lives are the samples of each process.
func lives(all []sample) [][]sample {
	var lives [][]sample
	for i, s := range all {
		if i == 0 || s.pid != all[i-1].pid {
			lives = append(lives, nil)
		}
		lives[len(lives)-1] = append(lives[len(lives)-1], s)
	}
	return lives
}

func middle(samples []sample, of func(sample) int) int {
	var values []int
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
