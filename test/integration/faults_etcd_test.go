package integration

import (
	"context"
	"crypto/x509"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// mistaken are certificates that are none of etcd's, or of ours to etcd, any more or yet.
var mistaken = map[string]func(c *x509.Certificate){
	"ended":          func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) },
	"not begun":      func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) },
	"of another use": func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} },
}

func served(c *x509.Certificate) {
	c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

func presented(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }

// Whatever is wrong with a certificate between the server and its etcd: requests are told to come back, and are answered
// soon after there is a right one.
func TestWrongCertificatesBetweenServerAndEtcdAreRefused(t *testing.T) {
	ca, stranger := rig.NewCA(t, "etcd"), rig.NewCA(t, "stranger")
	etcd := startTLSEtcd(t, ca, ca)
	etcd.put(t, ca, ca)
	id := newIdentity(t)
	present := func(ca *rig.CA, make func(*x509.Certificate)) {
		certificate, key := ca.Otherwise(t, "strata", func(c *x509.Certificate) { presented(c); make(c) })
		id.write(t, "etcd.key", key)
		id.write(t, "etcd.crt", certificate)
	}
	show := func(ca *rig.CA, make func(*x509.Certificate)) {
		certificate, key := ca.Otherwise(t, "localhost", func(c *x509.Certificate) { served(c); make(c) })
		etcd.write(t, "etcd.crt", certificate)
		etcd.write(t, "etcd.key", key)
	}
	right := func(*x509.Certificate) {}
	id.write(t, "etcd-ca.crt", ca.PEM)
	present(ca, right)
	s := startServerAs(t, id, "--etcd-servers="+etcd.url, "--etcd-cafile="+id.path("etcd-ca.crt"), "--file-poll-interval=1s",
		"--etcd-certfile="+id.path("etcd.crt"), "--etcd-keyfile="+id.path("etcd.key"), "--freshness-read-timeout=1s")
	cases := map[string]func(){
		"etcd's, of a stranger's CA": func() { show(stranger, right) },
		"etcd's, for another host": func() {
			show(ca, func(c *x509.Certificate) { c.IPAddresses = nil; c.DNSNames = []string{"elsewhere"} })
		},
		"ours, of a stranger's CA": func() { present(stranger, right) },
	}
	for name, make := range mistaken {
		cases["etcd's, "+name] = func() { show(ca, make) }
		cases["ours, "+name] = func() { present(ca, make) }
	}
	for name, mistake := range cases {
		t.Run(name, func(t *testing.T) {
			rig.Eventually(t, "reads before", s.readsStream)
			mistake()
			etcd.Stop(syscall.SIGKILL)
			etcd.Launch()
			for end := time.Now().Add(time.Second); time.Now().Before(end); {
				if code, body := s.get(rig.LayersPath("demo", "web"), adminToken); code != 504 {
					t.Fatalf("%d %s", code, body)
				}
			}
			present(ca, right)
			show(ca, right)
			mended := time.Now()
			etcd.Stop(syscall.SIGKILL)
			etcd.Launch()
			rig.Eventually(t, "reads after", s.readsStream)
			t.Logf("right %.1fs after the right certificate and a restart of etcd", time.Since(mended).Seconds())
		})
	}
}

// An etcd that is full takes no writes: what it has is read on, and what it takes when it has room again is seen.
func TestAnEtcdWithoutSpaceIsReadOn(t *testing.T) {
	b := rig.StartBackend(t, "etcd-3.6", "--quota-backend-bytes=4194304")
	c := b.Client(t)
	putLargeStream(t, b, "app", 2, 2)
	s := startServer(t, "--etcd-servers="+b.URL)
	before := s.layers(t, "demo", "app")
	put := func(key, value string) error {
		ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
		defer cancel()
		_, err := c.Put(ctx, key, value)
		return err
	}
	var err error
	for err == nil {
		err = put("/other", strings.Repeat("x", 400_000))
	}
	rig.Contains(t, err.Error(), "database space exceeded")
	for range 20 {
		if got := s.layers(t, "demo", "app"); got != before {
			t.Fatalf("%s, and it was %s", got, before)
		}
	}
	if code, body := s.get("/readyz", ""); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	now, err := c.Get(ctx, "/other")
	if err == nil {
		_, err = c.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	}
	if err == nil {
		_, err = c.Defragment(ctx, b.URL)
	}
	if err == nil {
		_, err = c.AlarmDisarm(ctx, &clientv3.AlarmMember{})
	}
	if err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "writes go on", func() error {
		return put(rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(1)))
	})
	if got := s.layers(t, "demo", "app"); got == before {
		t.Errorf("the write isn't seen: %s", got)
	}
}
