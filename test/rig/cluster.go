package rig

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// A Cluster is an etcd of several members.
type Cluster struct {
	Members []*Backend

	ids     []*atomic.Uint64 // the members', once they are known
	peers   *peerProxies
	initial []string // what each member is told of all
	named   int      // members that there ever were
	scheme  string
	secured []string // flags
	tls     *tls.Config
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
	c := &Cluster{peers: &peerProxies{open: map[net.Conn]ends{}}, scheme: "http"}
	if ca != nil {
		c.scheme = "https"
		c.secured, c.tls = secureMembers(t, ca)
	}
	var listen []string
	for range members {
		address, _ := c.announce(t)
		listen = append(listen, address)
	}
	for i := range members {
		c.launch(t, i, Start, listen[i], c.FreeURL(t))
	}
	for i := range members {
		c.learn(t, i)
	}
	return c
}

// StartClusterOn has a member on each node, which they reach each other by; Part is for others.
func StartClusterOn(t *testing.T, nodes []*Node) *Cluster {
	t.Helper()
	c := &Cluster{scheme: "http"}
	for _, node := range nodes {
		c.name("http://" + node.Address + ":2380")
	}
	for i, node := range nodes {
		c.launch(t, i, node.Start, "http://"+node.Address+":2380", "http://"+node.Address+":2379")
	}
	for i := range nodes {
		c.learn(t, i)
	}
	return c
}

// name makes a name for the next member, whom its peers reach at this URL.
func (c *Cluster) name(told string) {
	c.ids = append(c.ids, &atomic.Uint64{})
	c.initial = append(c.initial, fmt.Sprintf("m%d=%s", c.named, told))
	c.named++
}

// announce makes the way by which peers reach the next member, from a URL that they are told to where it will listen.
func (c *Cluster) announce(t *testing.T) (listen, told string) {
	t.Helper()
	listener, told := listenLocally(t)
	target := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
	c.name(told)
	c.peers.serve(t, listener, target, c.ids[len(c.ids)-1])
	return "http://" + target, told
}

// FreeURL is one for clients at which nobody listens.
func (c *Cluster) FreeURL(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("%s://127.0.0.1:%d", c.scheme, FreePort(t))
}

// launch starts a member as Start does, or Node.Start.
func (c *Cluster) launch(t *testing.T, i int, start func(*testing.T, string, ...string) *Process, listen, url string,
	flags ...string) {
	t.Helper()
	name, told, _ := strings.Cut(c.initial[i], "=")
	dir := filepath.Join(t.TempDir(), "data")
	flags = append(flags, c.secured...)
	p := start(t, Peer(t, "etcd"), append(flags, "--name="+name, "--data-dir="+dir, "--listen-client-urls="+url,
		"--advertise-client-urls="+url, "--listen-peer-urls="+listen, "--initial-advertise-peer-urls="+told,
		"--initial-cluster="+strings.Join(c.initial, ","), "--log-level=error")...)
	c.Members = append(c.Members, &Backend{Process: p, URL: url, Dir: dir, TLS: c.tls})
}

func (c *Cluster) learn(t *testing.T, i int) {
	t.Helper()
	m := c.Members[i]
	Eventually(t, "a member says who it is", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		status, err := m.Client(t).Status(ctx, m.URL)
		if err == nil {
			c.ids[i].Store(status.Header.MemberId)
		}
		return err
	})
}

// Add brings another member into the cluster, which is there when its clients are answered.
func (c *Cluster) Add(t *testing.T, url string) {
	t.Helper()
	client := c.ClientOf(t, c.URLs(len(c.Members)-1)...)
	listen, told := c.announce(t)
	Eventually(t, "a member is added", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := client.MemberAdd(ctx, []string{told})
		if errors.Is(err, rpctypes.ErrPeerURLExist) {
			return nil // by a try whose answer was lost
		}
		return err
	})
	c.launch(t, len(c.ids)-1, Start, listen, url, "--initial-cluster-state=existing")
	c.learn(t, len(c.ids)-1)
}

// Remove takes the oldest member out, and ends it.
func (c *Cluster) Remove(t *testing.T) {
	t.Helper()
	client := c.ClientOf(t, c.URLs(0)[1:]...)
	Eventually(t, "a member is removed", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := client.MemberRemove(ctx, c.ids[0].Load())
		if errors.Is(err, rpctypes.ErrMemberNotFound) {
			return nil // by a try whose answer was lost
		}
		return err
	})
	c.Members[0].Stop(syscall.SIGTERM)
	c.Members, c.ids, c.initial = c.Members[1:], c.ids[1:], c.initial[1:]
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

// Put is Put to members of a cluster: in an election a write is refused, and whoever wants it tries again.
func (c *Cluster) Put(t *testing.T, client *clientv3.Client, key, value string) {
	t.Helper()
	Eventually(t, "a write is taken", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := client.Put(ctx, key, value)
		return err
	})
}
