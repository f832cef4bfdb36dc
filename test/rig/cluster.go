package rig

import (
	"context"
	"fmt"
	"net"
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
		url := fmt.Sprintf("http://127.0.0.1:%d", FreePort(t))
		dir := filepath.Join(t.TempDir(), "data")
		p := Start(t, Peer(t, "etcd"), fmt.Sprintf("--name=m%d", i), "--data-dir="+dir, "--listen-client-urls="+url,
			"--advertise-client-urls="+url, "--listen-peer-urls="+listen[i], "--initial-advertise-peer-urls="+advertise[i],
			"--initial-cluster="+strings.Join(initial, ","), "--log-level=error")
		c.Members = append(c.Members, &Backend{Process: p, URL: url, Dir: dir})
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
	client, err := clientv3.New(clientv3.Config{Endpoints: urls, DialTimeout: Patience, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
