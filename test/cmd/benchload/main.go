// Command benchload makes the loads of test/bench that h2load can't: arrivals that don't wait for answers, connections
// with TLS sessions of their own, writes and the reads that must show them, watches and informers, and an etcd that is
// some milliseconds away. Each command prints one JSON object.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("benchload: ")
	commands := map[string]func([]string){"arrive": arrive, "connect": connect, "fresh": fresh, "delay": delay,
		"watch": watch, "inform": inform}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		log.Print("usage: benchload arrive|connect|fresh|delay|watch|inform FLAG...")
		os.Exit(2)
	}
	commands[os.Args[1]](os.Args[2:])
}

// What all commands that send requests are told.
type target struct {
	url, paths, ca, token string

	host  string   // and port
	names []string // paths to ask for, in this order, over and over
}

func (t *target) flags(set *flag.FlagSet) {
	set.StringVar(&t.url, "url", "", "https://host:port/path")
	set.StringVar(&t.paths, "paths", "", "file of paths, one a line, to be asked for in this order instead of the URL's")
	set.StringVar(&t.ca, "ca", "", "PEM file of the CA of the server's certificate")
	set.StringVar(&t.token, "token", "", "bearer token")
}

func (t *target) resolve() {
	u, err := url.Parse(t.url)
	check(err)
	t.host, t.names = u.Host, []string{u.RequestURI()}
	if t.paths != "" {
		text, err := os.ReadFile(t.paths)
		check(err)
		t.names = strings.Fields(string(text))
	}
}

func (t *target) config(protocol string) *tls.Config {
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(t.ca)
	check(err)
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, NextProtos: []string{protocol}, MinVersion: tls.VersionTLS13}
}

// A socket that is read in large pieces: crypto/tls asks for each record's few bytes.
type bufferedConn struct {
	net.Conn
	in *bufio.Reader
}

func (c bufferedConn) Read(into []byte) (int, error) { return c.in.Read(into) }

func (t *target) dial(config *tls.Config) (*tls.Conn, error) {
	raw, err := net.DialTimeout("tcp", t.host, 10*time.Second)
	if err != nil {
		return nil, err
	}
	config = config.Clone()
	config.ServerName, _, _ = net.SplitHostPort(t.host)
	conn := tls.Client(bufferedConn{raw, bufio.NewReaderSize(raw, 1<<18)}, config)
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := conn.Handshake(); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

// Microseconds of a distribution; the samples are sorted in place.
func percentiles(samples []time.Duration) map[string]float64 {
	slices.Sort(samples)
	out := map[string]float64{}
	if len(samples) == 0 {
		return out
	}
	for name, share := range map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1} {
		at := min(len(samples)-1, int(share*float64(len(samples))))
		out[name] = float64(samples[at]) / 1e3
	}
	return out
}

// Seconds of CPU that this process has used.
func ownCPU() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func dialEtcd(url string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{url}, DialTimeout: time.Minute, Logger: zap.NewNop()})
	check(err)
	return client
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func report(value any) {
	text, err := json.Marshal(value)
	check(err)
	fmt.Println(string(text))
}
