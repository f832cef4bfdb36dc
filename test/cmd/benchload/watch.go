package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/net/http2"
)

// watch opens watches, spread over h2 connections, lets them idle, and writes into etcd what they watch: each of the
// records that are there is written again as it is, which is an event. It tells what the server's process takes for each
// watch and each event, and how long after etcd's acknowledgement of a write its events came.
func watch(args []string) {
	var t target
	set := flag.NewFlagSet("watch", flag.ExitOnError)
	t.flags(set)
	etcd := set.String("etcd", "", "URL")
	prefix := set.String("prefix", "", "of the records' keys in etcd")
	watches := set.Int("watches", 1000, "they ask for the paths in turn")
	connections := set.Int("connections", 100, "that the watches are spread over")
	rate := set.Float64("rate", 10, "writes a second")
	writes := set.Int("n", 100, "writes")
	pid := set.Int("pid", 0, "of the server")
	_ = set.Parse(args)
	t.resolve()
	client := dialEtcd(*etcd)
	defer client.Close()

	w := &watchers{}
	before := residentBytes(*pid)
	w.open(&t, *watches, *connections)
	time.Sleep(2 * time.Second)
	idle := residentBytes(*pid)

	cpu := processCPU(*pid)
	acknowledged := writeAgain(client, *prefix, *writes, *rate)
	w.settle()
	used := processCPU(*pid) - cpu
	delays := w.delays(acknowledged)
	report(map[string]any{"watches": *watches, "writes": *writes, "events": len(delays), "bytes": w.bytes.Load(), "ended": w.ended.Load(),
		"idle_bytes": idle - before, "cpu_s": used, "delay_us": percentiles(delays), "peak_bytes": residentBytes(*pid)})
}

type arrival struct {
	revision int64
	at       time.Time
}

type watchers struct {
	bytes, events, ended atomic.Int64

	mu       sync.Mutex
	arrivals []arrival
}

// Returns when every watch has been answered.
func (w *watchers) open(t *target, watches, connections int) {
	transports := make([]*http2.Transport, connections)
	for i := range transports {
		transports[i] = &http2.Transport{TLSClientConfig: t.config("h2"), DisableCompression: true, StrictMaxConcurrentStreams: true}
	}
	var opened sync.WaitGroup
	room := make(chan struct{}, 64) // at a time: a server may refuse more from one user
	for i := range watches {
		opened.Add(1)
		room <- struct{}{}
		go func() {
			response := t.ask(transports[i%connections], "https://"+t.host+t.names[i%len(t.names)])
			<-room
			opened.Done()
			w.read(response.Body)
		}()
	}
	opened.Wait()
}

func (t *target) ask(transport http.RoundTripper, url string) *http.Response {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	check(err)
	request.Header.Set("Authorization", "Bearer "+t.token)
	request.Header.Set("Accept", "application/json")
	response, err := transport.RoundTrip(request)
	check(err)
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		log.Fatalf("%s: %s %s", url, response.Status, text)
	}
	return response
}

// The first resourceVersion in JSON, and where its member begins; -1 if there is no whole one.
func firstRevision(json []byte) (string, int) {
	member := []byte(`"resourceVersion":"`)
	at := bytes.Index(json, member)
	if at < 0 {
		return "", at
	}
	digits, _, whole := bytes.Cut(json[at+len(member):], []byte(`"`))
	if !whole {
		return "", -1
	}
	return string(digits), at
}

// The revision stands near the beginning of a line; the rest of a long one is only counted.
func (w *watchers) read(body io.ReadCloser) {
	defer w.ended.Add(1)
	in := bufio.NewReaderSize(body, 1<<14)
	for isRest := false; ; {
		line, err := in.ReadSlice('\n')
		w.bytes.Add(int64(len(line)))
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		if text, at := firstRevision(line); !isRest && at >= 0 && !bytes.Contains(line[:at], []byte(`"BOOKMARK"`)) {
			revision, parseErr := strconv.ParseInt(text, 10, 64)
			check(parseErr)
			w.mu.Lock()
			w.arrivals = append(w.arrivals, arrival{revision, time.Now()})
			w.mu.Unlock()
			w.events.Add(1)
		}
		isRest = err != nil
	}
}

// Returns when no event has come for a second.
func (w *watchers) settle() {
	for last := int64(-1); last != w.events.Load(); {
		last = w.events.Load()
		time.Sleep(time.Second)
	}
}

// Of the events of those writes. One that came before its acknowledgement took no time.
func (w *watchers) delays(acknowledged map[int64]time.Time) []time.Duration {
	var delays []time.Duration
	for _, one := range w.arrivals {
		if at, ours := acknowledged[one.revision]; ours {
			delays = append(delays, max(0, one.at.Sub(at)))
		}
	}
	return delays
}

// Writes records below the prefix again as they are, at random; returns when each revision was acknowledged.
func writeAgain(client *clientv3.Client, prefix string, writes int, rate float64) map[int64]time.Time {
	there, err := client.Get(context.Background(), prefix, clientv3.WithPrefix(), clientv3.WithLimit(2000))
	check(err)
	if len(there.Kvs) == 0 {
		log.Fatalf("etcd has no records below %s", prefix)
	}
	var mu sync.Mutex
	var inFlight sync.WaitGroup
	acknowledged := map[int64]time.Time{}
	for due := time.Now(); writes > 0; writes-- {
		one := there.Kvs[rand.IntN(len(there.Kvs))]
		inFlight.Add(1)
		go func() {
			defer inFlight.Done()
			done, err := client.Put(context.Background(), string(one.Key), string(one.Value))
			check(err)
			mu.Lock()
			defer mu.Unlock()
			acknowledged[done.Header.Revision] = time.Now()
		}()
		due = due.Add(time.Duration(float64(time.Second) / rate))
		time.Sleep(time.Until(due))
	}
	inFlight.Wait()
	return acknowledged
}

// inform makes informers that start together: each lists and then watches, or has the watch begin with the list
// (sendInitialEvents), and is done when it has everything.
func inform(args []string) {
	var t target
	set := flag.NewFlagSet("inform", flag.ExitOnError)
	t.flags(set)
	informers := set.Int("n", 100, "informers, each with a connection of its own")
	streamed := set.Bool("streamed", false, "the watch begins with the list")
	_ = set.Parse(args)
	t.resolve()
	config := t.config("h2")
	var took []time.Duration
	var bytes atomic.Int64
	var mu sync.Mutex
	var done sync.WaitGroup
	begin := time.Now()
	for range *informers {
		done.Add(1)
		go func() {
			defer done.Done()
			transport := &http2.Transport{TLSClientConfig: config, DisableCompression: true}
			if *streamed {
				bytes.Add(t.streamedList(transport))
			} else {
				bytes.Add(t.listThenWatch(transport))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(begin))
		}()
	}
	done.Wait()
	report(map[string]any{"informers": *informers, "seconds": slices.Max(took).Seconds(), "bytes": bytes.Load()})
}

func (t *target) listThenWatch(transport http.RoundTripper) int64 {
	response := t.ask(transport, t.url)
	defer response.Body.Close()
	head := make([]byte, 4096)
	n, err := io.ReadFull(response.Body, head)
	check(err)
	revision, at := firstRevision(head)
	if at < 0 {
		log.Fatalf("no revision in %s", head)
	}
	rest, err := io.Copy(io.Discard, response.Body)
	check(err)
	// Left open, as an informer's.
	t.ask(transport, t.url+"?watch=true&allowWatchBookmarks=true&resourceVersion="+revision)
	return int64(n) + rest
}

func (t *target) streamedList(transport http.RoundTripper) int64 {
	response := t.ask(transport, t.url+
		"?watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0")
	in := bufio.NewReaderSize(response.Body, 1<<16)
	for total := int64(0); ; {
		line, err := in.ReadBytes('\n')
		check(err)
		total += int64(len(line))
		if bytes.HasPrefix(line, []byte(`{"type":"BOOKMARK"`)) && bytes.Contains(line, []byte(`"k8s.io/initial-events-end":"true"`)) {
			return total
		}
	}
}
