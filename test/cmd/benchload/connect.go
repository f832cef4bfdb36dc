package main

import (
	"bufio"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connect makes a connection for each request, HTTP/1.1, with a TLS session of its own or one that is resumed.
func connect(args []string) {
	var t target
	set := flag.NewFlagSet("connect", flag.ExitOnError)
	t.flags(set)
	requests := set.Int("n", 1000, "requests")
	workers := set.Int("workers", 4, "connections at a time")
	resume := set.Bool("resume", false, "resume TLS sessions")
	_ = set.Parse(args)
	t.resolve()
	before := ownCPU()
	start := time.Now()
	var next, failed, resumed atomic.Int64
	var mu sync.Mutex
	var latencies []time.Duration
	var group sync.WaitGroup
	for range *workers {
		group.Add(1)
		go func() {
			defer group.Done()
			config := t.config("http/1.1")
			if *resume {
				config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			for n := next.Add(1) - 1; n < int64(*requests); n = next.Add(1) - 1 {
				begin := time.Now()
				did, err := t.once(config, t.names[int(n)%len(t.names)])
				took := time.Since(begin)
				if did {
					resumed.Add(1)
				}
				if err != nil {
					failed.Add(1)
					log.Print(err)
				}
				mu.Lock()
				latencies = append(latencies, took)
				mu.Unlock()
			}
		}()
	}
	group.Wait()
	elapsed := time.Since(start).Seconds()
	report(map[string]any{"requests": *requests, "failed": failed.Load(), "resumed": resumed.Load(), "rate": float64(*requests) / elapsed,
		"latency_us": percentiles(latencies), "generator_cores": (ownCPU() - before) / elapsed})
}

// once says whether the session was resumed.
func (t *target) once(config *tls.Config, path string) (bool, error) {
	conn, err := t.dial(config)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", path, t.host, t.token); err != nil {
		return false, err
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(conn, 1<<16), nil)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return false, err
	}
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%s: %s", path, response.Status)
	}
	return conn.ConnectionState().DidResume, nil
}
