package soak

import (
	"crypto/tls"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"strata/test/rig"
)

// A rotation replaces files under the servers, which have to use the new ones within takenWithin. No request may fail
// meanwhile.
type rotation struct {
	name   string
	rotate func(w *world, n int) // for the n-th time
}

// takenWithin is the poll interval (1 s), the second behind it that is promised, and two for a machine that is busy.
const takenWithin = 4 * time.Second

var rotations = []rotation{
	{"serving certificate", (*world).rotateServing},
	{"client CA", (*world).rotateClients},
	{"etcd client certificate", (*world).rotateEtcd},
	{"tokens", (*world).rotateTokens},
	{"roles", (*world).rotateRoles},
	{"audit log", (*world).rotateAudit},
}

// taken waits until each server does as it should by new files.
func (w *world) taken(what string, by func(s *server) error) {
	w.t.Helper()
	begun := time.Now()
	for _, s := range w.servers {
		err := by(s)
		for err != nil && time.Since(begun) < takenWithin {
			time.Sleep(100 * time.Millisecond)
			err = by(s)
		}
		if err != nil {
			w.t.Errorf("%s: %s of %s: %v", time.Now().Format("15:04:05"), what, s.name, err)
		}
	}
}

func (w *world) rotateServing(n int) {
	certificate, key := w.ca.serving[n%2].Serving(w.t, "localhost")
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.writePair("serving", certificate, key)
	w.taken("the serving certificate", func(s *server) error {
		shown, err := s.shown()
		if err == nil && shown.Cmp(pair.Leaf.SerialNumber) != 0 {
			err = fmt.Errorf("another is shown")
		}
		return err
	})
}

// shown is the serial number of the certificate that a server shows.
func (s *server) shown() (*big.Int, error) {
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", strings.TrimPrefix(s.url, "https://"), s.config())
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0].SerialNumber, nil
}

// rotateClients: both CAs for a while, then the new one alone.
func (w *world) rotateClients(n int) {
	old, fresh := w.ca.clients[(n+1)%2], w.ca.clients[n%2]
	holder := func(ca *rig.CA) tls.Certificate {
		pair, err := tls.X509KeyPair(ca.Client(w.t, "somebody", "system:masters"))
		if err != nil {
			w.t.Fatal(err)
		}
		return pair
	}
	oldPair, freshPair := holder(old), holder(fresh)
	is := func(pair tls.Certificate, want int) func(s *server) error {
		return func(s *server) error {
			c := s.client(false).as(pair)
			defer c.close()
			c.token = nobody
			if a := c.ask(ctx(), ofImages+"images?limit=1", ""); a.err != nil || a.code != want {
				return fmt.Errorf("want %d: %v", want, a)
			}
			return nil
		}
	}
	w.write("clients.crt", append(append([]byte(nil), old.PEM...), fresh.PEM...))
	w.taken("the new client CA beside the old", is(freshPair, http.StatusOK))
	w.taken("the old client CA beside the new", is(oldPair, http.StatusOK))
	w.write("clients.crt", fresh.PEM)
	// Go's clients show no certificate of a CA that they weren't asked for, and are nobody then.
	w.taken("the old client CA", is(oldPair, http.StatusForbidden))
	w.taken("the new client CA", is(freshPair, http.StatusOK))
}

// rotateEtcd also ends the connections of the proxied server: the next ones show the new certificate.
func (w *world) rotateEtcd(int) {
	certificate, key := w.ca.etcd.Client(w.t, "strata")
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.writePair("etcd", certificate, key)
	time.Sleep(2 * time.Second)
	w.suffer(faultNamed("path reset"), nil)
	c := w.server("proxied").client(false)
	defer c.close()
	text, err := c.get("/metrics", "")
	until := fmt.Sprintf("\nstrata_etcd_client_certificate_expiration_timestamp_seconds %d\n", pair.Leaf.NotAfter.Unix())
	if err != nil || !strings.Contains(string(text), until) {
		w.t.Errorf("the new client certificate for etcd isn't in use: %v", err)
	}
}

// rotateTokens: both tokens for a while, then the new one alone.
func (w *world) rotateTokens(n int) {
	old, fresh := *w.token.Load(), fmt.Sprint("token-", n)
	is := func(token string, want int) func(s *server) error {
		return func(s *server) error {
			c := s.client(false)
			defer c.close()
			c.token = token
			if a := c.ask(ctx(), ofImages+"images?limit=1", ""); a.err != nil || a.code != want {
				return fmt.Errorf("want %d: %v", want, a)
			}
			return nil
		}
	}
	w.useTokens(old, fresh)
	w.taken("the new token", is(fresh, http.StatusOK))
	w.token.Store(&fresh)
	time.Sleep(5 * time.Second) // what was asked with the old one is on its way
	w.useTokens(fresh)
	w.taken("the old token", is(old, http.StatusUnauthorized))
}

// roles lets user viewer see image streams, or not.
func roles(may bool) string {
	subject := "nobody"
	if may {
		subject = "viewer"
	}
	return fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: viewer}
rules: [{apiGroups: [image.openshift.io], resources: [imagestreams], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: viewer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: viewer}
subjects: [{kind: User, name: %s}]
`, subject)
}

func (w *world) rotateRoles(int) {
	for _, one := range []struct {
		may  bool
		want int
	}{{false, http.StatusForbidden}, {true, http.StatusOK}} {
		w.write("rbac.yaml", []byte(roles(one.may)))
		w.taken("the roles", func(s *server) error {
			c := s.client(false)
			defer c.close()
			c.token = "viewertoken"
			if a := c.ask(ctx(), ofImages+"namespaces/load-a/imagestreams?limit=1", ""); a.err != nil || a.code != one.want {
				return fmt.Errorf("want %d: %v", one.want, a)
			}
			return nil
		})
	}
}

// rotateAudit looks that no more old files are there than --audit-log-maxbackup allows.
func (w *world) rotateAudit(int) {
	for _, s := range w.servers {
		files, err := filepath.Glob(w.path("audit-" + s.name + "*"))
		if err != nil || len(files) == 0 || len(files) > 3 {
			w.t.Errorf("audit logs of %s: %v %v", s.name, files, err)
		}
		for _, file := range files {
			if info, err := os.Stat(file); err == nil && info.Size() > 2<<20 {
				w.t.Errorf("%s has %d bytes", file, info.Size())
			}
		}
	}
}
