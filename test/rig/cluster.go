package rig

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// A Cluster is an etcd of several members.
type Cluster struct {
	Members []*Backend
}

func StartCluster(t *testing.T, members int) *Cluster {
	t.Helper()
	var peers, initial []string
	for i := 0; i < members; i++ {
		peers = append(peers, fmt.Sprintf("http://127.0.0.1:%d", FreePort(t)))
		initial = append(initial, fmt.Sprintf("m%d=%s", i, peers[i]))
	}
	c := &Cluster{}
	for i := 0; i < members; i++ {
		url := fmt.Sprintf("http://127.0.0.1:%d", FreePort(t))
		dir := filepath.Join(t.TempDir(), "data")
		p := Start(t, Peer(t, "etcd"), fmt.Sprintf("--name=m%d", i), "--data-dir="+dir, "--listen-client-urls="+url,
			"--advertise-client-urls="+url, "--listen-peer-urls="+peers[i], "--initial-advertise-peer-urls="+peers[i],
			"--initial-cluster="+strings.Join(initial, ","), "--log-level=error")
		c.Members = append(c.Members, &Backend{Process: p, URL: url, Dir: dir})
	}
	for _, m := range c.Members {
		m.Client(t)
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
