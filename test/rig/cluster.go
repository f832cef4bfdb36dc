package rig

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// A Cluster is an etcd of several members.
type Cluster struct {
	Members []*Backend

	ids   []atomic.Uint64 // the members', once they are known
	peers *peerProxies
}

func StartCluster(t *testing.T, members int) *Cluster {
	t.Helper()
	return startCluster(t, members, nil)
}

// StartClusterBehindTLS shows clients certificates of a CA, and asks them for theirs of it.
func StartClusterBehindTLS(t *testing.T, members int, ca *CA) *Cluster {
	t.Helper()
	return startCluster(t, members, ca)
}

func startCluster(t *testing.T, members int, ca *CA) *Cluster {
	t.Helper()
	scheme, secured, config := "http", []string(nil), (*tls.Config)(nil)
	if ca != nil {
		scheme = "https"
		secured, config = secureMembers(t, ca)
	}
	c := &Cluster{ids: make([]atomic.Uint64, members), peers: &peerProxies{open: map[net.Conn]ends{}}}
	var listen, advertise, initial []string
	for i := 0; i < members; i++ {
		listener, url := listenLocally(t)
		target := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
		c.peers.serve(t, listener, target, &c.ids[i])
		listen, advertise = append(listen, "http://"+target), append(advertise, url)
		initial = append(initial, fmt.Sprintf("m%d=%s", i, url))
	}
	for i := 0; i < members; i++ {
		url := fmt.Sprintf("%s://127.0.0.1:%d", scheme, FreePort(t))
		dir := filepath.Join(t.TempDir(), "data")
		p := Start(t, Peer(t, "etcd"), append(secured, fmt.Sprintf("--name=m%d", i), "--data-dir="+dir,
			"--listen-client-urls="+url, "--advertise-client-urls="+url, "--listen-peer-urls="+listen[i],
			"--initial-advertise-peer-urls="+advertise[i], "--initial-cluster="+strings.Join(initial, ","),
			"--log-level=error")...)
		c.Members = append(c.Members, &Backend{Process: p, URL: url, Dir: dir, TLS: config})
	}
	for i, m := range c.Members {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		status, err := m.Client(t).Status(ctx, m.URL)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		c.ids[i].Store(status.Header.MemberId)
	}
	return c
}

// secureMembers are the flags that all members have in common, and what their clients need.
func secureMembers(t *testing.T, ca *CA) (flags []string, client *tls.Config) {
	t.Helper()
	dir := t.TempDir()
	certificate, key := ca.Both(t, "localhost")
	own, ownKey := ca.Client(t, "rig")
	pair, err := tls.X509KeyPair(own, ownKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"etcd.crt": certificate, "etcd.key": key, "ca.crt": ca.PEM} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"--cert-file=" + filepath.Join(dir, "etcd.crt"), "--key-file=" + filepath.Join(dir, "etcd.key"),
			"--trusted-ca-file=" + filepath.Join(dir, "ca.crt"), "--client-cert-auth"},
		&tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{pair}}
}

// URLs of all members, that of `first` first.
func (c *Cluster) URLs(first int) []string {
	urls := []string{c.Members[first].URL}
	for i, m := range c.Members {
		if i != first {
			urls = append(urls, m.URL)
		}
	}
	return urls
}

// Leader is the index of the member that leads.
func (c *Cluster) Leader(t *testing.T) int {
	t.Helper()
	leader := -1
	Eventually(t, "a member leads", func() error {
		for i, m := range c.Members {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			status, err := m.Client(t).Status(ctx, m.URL)
			cancel()
			if err == nil && status.Leader == status.Header.MemberId {
				leader = i
				return nil
			}
		}
		return fmt.Errorf("none")
	})
	return leader
}

// ClientOf is a connection to some members.
func (c *Cluster) ClientOf(t *testing.T, urls ...string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: urls, DialTimeout: Patience, TLS: c.Members[0].TLS, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
