package cluster

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"strata/test/history"
	"strata/test/rig"
)

var followed = []string{"imagestreams", "images"}

// A follower is a program that follows both resources and writes what it is told, for clients of one or more names.
type follower struct {
	name      string
	recorders map[string]*recorder // by the clients' names in its log
	command   *exec.Cmd
	input     io.Closer
	output    string // a file; what it says besides is beside it
	bookmarks bool   // its watches ask for them
}

// follow starts a program. An argument `CLIENT=%s` gets the kubeconfig of that client of it, `%s` that of the only one.
func (s *storm) follow(name string, environment []string, program string, arguments ...string) *follower {
	s.t.Helper()
	f := &follower{name: name, recorders: map[string]*recorder{}, output: s.path("log-" + name)}
	for i, argument := range arguments {
		if client, _, several := strings.Cut(argument, "=%s"); several {
			f.recorders[client] = s.record(name+"-"+client, s.writer.Newest)
			arguments[i] = client + "=" + f.recorders[client].kubeconfig
		} else if argument == "%s" {
			f.recorders[name] = s.record(name, s.writer.Newest)
			arguments[i] = f.recorders[name].kubeconfig
		}
	}
	f.command = exec.Command(program, arguments...)
	f.command.Env = append(os.Environ(), environment...)
	output, err := os.Create(f.output)
	s.check(err)
	defer output.Close()
	said, err := os.Create(f.output + ".err")
	s.check(err)
	defer said.Close()
	f.command.Stdout, f.command.Stderr = output, said
	f.input, err = f.command.StdinPipe()
	s.check(err)
	// Its children are in its group, and end with it.
	f.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.check(f.command.Start())
	s.t.Cleanup(func() { _ = syscall.Kill(-f.command.Process.Pid, syscall.SIGKILL); _ = f.command.Wait() })
	s.followers = append(s.followers, f)
	return f
}

func (f *follower) said() string {
	said, _ := os.ReadFile(f.output + ".err")
	return string(said[max(0, len(said)-4000):])
}

// told is an error until each client of the program has been told of a key, "" being any, for each resource.
func (f *follower) told(suffix string) error {
	entries, err := f.entries()
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for _, e := range entries {
		if e.Key != "" && strings.HasSuffix(e.Key, suffix) {
			told[e.Resource+" of "+e.Client] = true
		}
	}
	if len(told) != len(f.recorders)*len(followed) {
		return fmt.Errorf("%s: only these were told: %v\n%s", f.name, told, f.said())
	}
	return nil
}

func (f *follower) entries() ([]history.Entry, error) {
	text, err := os.ReadFile(f.output)
	if err != nil {
		return nil, err
	}
	return history.ParseLog(text)
}

// awaitTold: each client of the program has been told of a key that ends so, for each resource.
func (s *storm) awaitTold(f *follower, suffix string) {
	s.t.Helper()
	rig.EventuallyWithin(s.t, 2*time.Minute, f.name+" is told of *"+suffix, func() error { return f.told(suffix) })
}

// end closes the program's input, when nothing more is told, and returns all of its log.
func (s *storm) end(f *follower) []history.Entry {
	s.t.Helper()
	s.awaitTold(f, history.End)
	for size := int64(-1); size != f.size(); time.Sleep(200 * time.Millisecond) {
		size = f.size()
	}
	f.input.Close()
	if err := f.command.Wait(); err != nil {
		s.t.Fatalf("%s: %v: %s", f.name, err, f.said())
	}
	entries, err := f.entries()
	s.check(err)
	return entries
}

func (f *follower) size() int64 {
	info, err := os.Stat(f.output)
	if err != nil {
		return 0
	}
	return info.Size()
}

// judge ends the program, and says what its clients were answered and told wrong.
func (s *storm) judge(f *follower, timelines map[string]history.Timeline) {
	s.t.Helper()
	told := map[string][]history.Entry{}
	for _, e := range s.end(f) {
		told[e.Resource+" of "+e.Client] = append(told[e.Resource+" of "+e.Client], e)
	}
	for client, recorder := range f.recorders {
		for resource, timeline := range timelines {
			verdict, err := recorder.judge(resource, timeline)
			s.t.Logf("%s of %s: %v", resource, recorder.name, verdict)
			if err == nil && f.bookmarks {
				err = recorder.wentOn(resource, s.idleFrom, s.idleTo)
			}
			if err == nil {
				err = timeline.CheckLog(told[resource+" of "+client], verdict.gaps)
			}
			if err != nil {
				s.t.Errorf("%s of %s: %v%s", resource, recorder.name, err, recorder.story(resource))
			}
		}
	}
}
