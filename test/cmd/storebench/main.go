// Command storebench measures the embedded store beside etcd, by one client library, on one disk, in alternating rounds.
// It prints a JSON object for each figure: {"figure", "target", "ours", "theirs", "unit"}, a number for each round.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

var (
	strata = flag.String("strata-storage", "build/bin/strata-storage", "")
	etcd   = flag.String("etcd", "build/release/go/etcd", "")
	work   = flag.String("work", "", "directory for the data of both")
	quick  = flag.Bool("quick", false, "short rounds, a tenth of the data")
)

// A server of the API, on a core of its own.
type server struct {
	name, url, dir string
	args           []string
	cmd            *exec.Cmd
}

func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer l.Close()
	return l.Addr().String()
}

func newServer(name string) *server {
	s := &server{name: name, url: "http://" + freePort(), dir: filepath.Join(*work, name)}
	if name == "etcd" {
		s.args = []string{*etcd, "--data-dir=" + s.dir, "--listen-client-urls=" + s.url, "--advertise-client-urls=" + s.url,
			"--listen-peer-urls=http://" + freePort(), "--log-level=error", "--quota-backend-bytes=8589934592"}
	} else {
		s.args = []string{*strata, "serve", "--data-dir=" + s.dir, "--listen-client-urls=" + s.url, "--quota-backend-bytes=8589934592"}
	}
	return s
}

func (s *server) start() {
	s.cmd = exec.Command("taskset", append([]string{"-c", "0"}, s.args...)...)
	check(s.cmd.Start())
	for until := time.Now().Add(5 * time.Minute); ; {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(until) {
			log.Fatalf("%s doesn't listen", s.name)
		}
		time.Sleep(time.Millisecond)
	}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

func (s *server) client() *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.url}, DialTimeout: time.Minute, Logger: zap.NewNop(),
		MaxCallRecvMsgSize: 1 << 30})
	check(err)
	return c
}

// Kilobytes of a line of /proc/PID/status.
func (s *server) memory(line string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	check(err)
	for _, one := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(one, line+":") {
			var kb float64
			fmt.Sscan(strings.TrimPrefix(one, line+":"), &kb)
			return kb / 1024
		}
	}
	log.Fatal("no ", line)
	return 0
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// rate is how often a second `action` is done by so many at once.
func rate(workers int, length time.Duration, action func(worker, n int)) float64 {
	var done atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for w := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; time.Since(start) < length; n++ {
				action(w, n)
				done.Add(1)
			}
		}()
	}
	group.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}

type figure struct {
	Figure string    `json:"figure"`
	Target string    `json:"target"`
	Ours   []float64 `json:"ours"`
	Theirs []float64 `json:"theirs"`
	Unit   string    `json:"unit"`
}

func report(f figure) {
	text, err := json.Marshal(f)
	check(err)
	fmt.Println(string(text))
}

// alternate measures ours and theirs in turn.
func alternate(name, target, unit string, rounds int, servers [2]*server, measure func(s *server, c *clientv3.Client) float64) {
	f := figure{Figure: name, Target: target, Unit: unit}
	clients := [2]*clientv3.Client{servers[0].client(), servers[1].client()}
	for range rounds {
		f.Ours = append(f.Ours, measure(servers[0], clients[0]))
		f.Theirs = append(f.Theirs, measure(servers[1], clients[1]))
	}
	for _, c := range clients {
		c.Close()
	}
	report(f)
}

func fill(c *clientv3.Client, keys int) {
	value := strings.Repeat("v", 100)
	const batch = 128
	var group sync.WaitGroup
	next := make(chan int)
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for first := range next {
				var ops []clientv3.Op
				for i := first; i < min(first+batch, keys); i++ {
					ops = append(ops, clientv3.OpPut(fmt.Sprintf("/fill/%024d", i), value))
				}
				_, err := c.Txn(context.Background()).Then(ops...).Commit()
				check(err)
			}
		}()
	}
	for first := 0; first < keys; first += batch {
		next <- first
	}
	close(next)
	group.Wait()
}

// watched is the time until 1,000 watches have heard of every write.
func watched(c *clientv3.Client) float64 {
	const watchers, writes = 1000, 100
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var heard sync.WaitGroup
	ready := make(chan struct{}, watchers)
	for range watchers {
		heard.Add(1)
		go func() {
			defer heard.Done()
			seen := 0
			for response := range c.Watch(ctx, "/watched", clientv3.WithCreatedNotify()) {
				if response.Created {
					ready <- struct{}{}
				}
				if seen += len(response.Events); seen == writes {
					return
				}
			}
		}()
	}
	for range watchers {
		<-ready
	}
	start := time.Now()
	for i := range writes {
		_, err := c.Put(ctx, "/watched", fmt.Sprint(i))
		check(err)
	}
	heard.Wait()
	return watchers * writes / time.Since(start).Seconds()
}

func main() {
	flag.Parse()
	length, rounds, keys := 2*time.Second, 5, 1_000_000
	if *quick {
		length, rounds, keys = 500*time.Millisecond, 3, 100_000
	}
	servers := [2]*server{newServer("strata-storage"), newServer("etcd")}
	for _, s := range servers {
		s.start()
		defer func() { s.stop() }()
	}
	ctx := context.Background()
	value := strings.Repeat("v", 500)
	for _, workers := range []int{1, 16, 64} {
		alternate(fmt.Sprintf("writes a second, %d at a time", workers), ">= 1 x etcd", "/s", rounds, servers,
			func(_ *server, c *clientv3.Client) float64 {
				return rate(workers, length, func(w, n int) {
					_, err := c.Put(ctx, fmt.Sprintf("/writes/%d/%d", w, n), value)
					check(err)
				})
			})
	}
	alternate("events to 1,000 watches a second", ">= 1 x etcd", "/s", rounds, servers,
		func(_ *server, c *clientv3.Client) float64 { return watched(c) })
	for _, s := range servers {
		c := s.client()
		fill(c, keys)
		c.Close()
	}
	for _, span := range []int{1, 100, 10_000} {
		alternate(fmt.Sprintf("ranges of %d keys of %d a second", span, keys), ">= 2 x etcd", "/s", rounds, servers,
			func(_ *server, c *clientv3.Client) float64 {
				return rate(16, length, func(w, n int) {
					first := (w*7919 + n*104729) % (keys - span)
					_, err := c.Get(ctx, fmt.Sprintf("/fill/%024d", first), clientv3.WithRange(fmt.Sprintf("/fill/%024d", first+span)))
					check(err)
				})
			})
	}
	start := figure{Figure: fmt.Sprintf("start to the first read, %d keys", keys), Target: "<= 0.5 x etcd", Unit: "s"}
	all := figure{Figure: "resident memory after it", Target: "<= 0.5 x etcd", Unit: "MiB"}
	private := figure{Figure: "the same without pages of the file", Target: "", Unit: "MiB"}
	for range 3 {
		for i, s := range servers {
			s.stop()
			begin := time.Now()
			s.start()
			c := s.client()
			_, err := c.Get(ctx, fmt.Sprintf("/fill/%024d", keys/2))
			check(err)
			took := time.Since(begin).Seconds()
			c.Close()
			for f, measured := range map[*figure]float64{&start: took, &all: s.memory("VmRSS"), &private: s.memory("RssAnon")} {
				if i == 0 {
					f.Ours = append(f.Ours, measured)
				} else {
					f.Theirs = append(f.Theirs, measured)
				}
			}
		}
	}
	for _, f := range []figure{start, all, private} {
		report(f)
	}
}
