package rig

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// A Backend speaks the etcd v3 API.
type Backend struct {
	*Process
	URL string
	Dir string
	TLS *tls.Config // of its clients; nil: none
}

// Backends names those that are there: always etcd 3.6 and our own store.
func Backends(t *testing.T) []string {
	names := []string{"etcd-3.6", "strata-storage"}
	if os.Getenv("STRATA_ETCD34") != "" {
		names = append(names, "etcd-3.4")
	}
	return names
}

func ForEachBackend(t *testing.T, test func(t *testing.T, name string)) {
	for _, name := range Backends(t) {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

// Kines are the two kines: another subset of etcd's API each. They know no Put: WriteAsKube writes.
func Kines() []string { return []string{"kine-0.13", "kine-0.17"} }

func StartBackend(t *testing.T, name string, flags ...string) *Backend {
	t.Helper()
	return StartBackendIn(t, name, filepath.Join(t.TempDir(), "data"), FreePort(t), flags...)
}

func StartBackendIn(t *testing.T, name, dir string, port int, flags ...string) *Backend {
	t.Helper()
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	var p *Process
	if strings.HasPrefix(name, "kine-") {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		p = Start(t, Peer(t, name), append([]string{
			"--endpoint=sqlite://" + filepath.Join(dir, "kine.db") + "?_journal_mode=WAL&_busy_timeout=30000&_txlock=immediate&cache=shared",
			fmt.Sprintf("--listen-address=tcp://127.0.0.1:%d", port), "--metrics-bind-address=0"}, flags...)...)
	} else if name == "strata-storage" {
		return StartStore(t, dir, url, flags...)
	} else {
		path := os.Getenv("STRATA_ETCD34")
		if name == "etcd-3.6" {
			path = Peer(t, "etcd")
		}
		p = Start(t, path, append([]string{"--data-dir=" + dir, "--listen-client-urls=" + url, "--advertise-client-urls=" + url,
			fmt.Sprintf("--listen-peer-urls=http://127.0.0.1:%d", FreePort(t)), "--log-level=error"}, flags...)...)
	}
	b := &Backend{Process: p, URL: url, Dir: dir}
	b.Client(t)
	return b
}

// StartStore starts our own store where the URL says, which may be unix:///PATH.
func StartStore(t *testing.T, dir, url string, flags ...string) *Backend {
	t.Helper()
	p := Start(t, Strata(t, "strata-storage"), append([]string{"serve", "--data-dir=" + dir, "--listen-client-urls=" + url}, flags...)...)
	b := &Backend{Process: p, URL: url, Dir: dir}
	b.Client(t)
	return b
}

// Client is a connection of clientv3, once the backend answers.
func (b *Backend) Client(t *testing.T) *clientv3.Client {
	t.Helper()
	// A client that comes too early waits a second before it tries again.
	Eventually(t, "the backend listens", func() error {
		network, address, _ := strings.Cut(b.URL, "://")
		if network != "unix" {
			network = "tcp"
		}
		conn, err := net.Dial(network, address)
		if err == nil {
			conn.Close()
		}
		return err
	})
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{b.URL}, DialTimeout: Patience, TLS: b.TLS, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	Eventually(t, "the backend answers", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_, err := c.Get(ctx, "/")
		return err
	})
	return c
}
