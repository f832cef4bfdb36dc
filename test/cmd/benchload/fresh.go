package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"
)

// fresh writes a stream into etcd and asks for it at once, over one kept connection: every answer must show the write.
// It also asks without waiting for the backend (resourceVersion=0), over and over, until the write shows: what the watch
// takes.
func fresh(args []string) {
	var t target
	set := flag.NewFlagSet("fresh", flag.ExitOnError)
	t.flags(set)
	etcd := set.String("etcd", "", "URL")
	writes := set.Int("n", 1000, "writes, of each kind")
	gap := set.Duration("gap", 2*time.Millisecond, "between a write that shows and the next")
	_ = set.Parse(args)
	t.resolve()
	client := dialEtcd(*etcd)
	defer client.Close()
	conn, err := t.dial(t.config("http/1.1"))
	check(err)
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 1<<16)
	const path = "/apis/image.openshift.io/v1/namespaces/bench/imagestreams/fresh/layers"
	ask := func(query string) []byte {
		_, err := fmt.Fprintf(conn, "GET %s%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", path, query, t.host, t.token)
		check(err)
		response, err := http.ReadResponse(in, nil)
		check(err)
		body, err := io.ReadAll(response.Body)
		check(err)
		return body
	}
	put := func(image string) {
		_, err := client.Put(context.Background(), "/openshift.io/imagestreams/bench/fresh", streamOf(image))
		check(err)
	}
	put("sha256:first")
	for !bytes.Contains(ask(""), []byte("sha256:first")) {
		time.Sleep(time.Millisecond)
	}
	var linearizable, watched []time.Duration
	for n := range *writes {
		image := fmt.Sprintf("sha256:%064x", 2*n)
		put(image)
		acknowledged := time.Now()
		if !bytes.Contains(ask(""), []byte(image)) {
			log.Fatalf("write %d: an answer doesn't show what was written before it was asked for", n)
		}
		linearizable = append(linearizable, time.Since(acknowledged))
		time.Sleep(*gap)

		image = fmt.Sprintf("sha256:%064x", 2*n+1)
		put(image)
		acknowledged = time.Now()
		for !bytes.Contains(ask("?resourceVersion=0"), []byte(image)) {
			if time.Since(acknowledged) > 10*time.Second {
				log.Fatalf("write %d doesn't show after 10 seconds", n)
			}
		}
		watched = append(watched, time.Since(acknowledged))
		time.Sleep(*gap)
	}
	report(map[string]any{"writes": *writes, "linearizable_us": percentiles(linearizable), "watched_us": percentiles(watched),
		"linearizable_histogram": histogram(linearizable), "watched_histogram": histogram(watched)})
}

func streamOf(image string) string {
	text, err := json.Marshal(map[string]any{"kind": "ImageStream", "apiVersion": "image.openshift.io/v1",
		"metadata": map[string]any{"name": "fresh", "namespace": "bench"},
		"status": map[string]any{"dockerImageRepository": "", "tags": []any{map[string]any{"tag": "latest", "items": []any{
			map[string]any{"created": "2026-01-01T00:00:00Z", "dockerImageReference": "", "image": image, "generation": 1}}}}}})
	check(err)
	return string(text)
}

type bucket struct {
	UpTo  float64 `json:"up_to_ms"` // 0: without a bound
	Count int     `json:"count"`
}

func histogram(samples []time.Duration) []bucket {
	buckets := []bucket{}
	for _, bound := range []float64{0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 0} {
		buckets = append(buckets, bucket{UpTo: bound})
	}
	for _, one := range samples {
		for i := range buckets {
			if bound := buckets[i].UpTo; bound == 0 || float64(one)/1e6 <= bound {
				buckets[i].Count++
				break
			}
		}
	}
	return buckets
}
