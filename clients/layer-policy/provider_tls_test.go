package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// signer is a CA.
type signer struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newSigner(t *testing.T) *signer {
	s := &signer{t: t}
	s.certificate = &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	made := s.sign(s.certificate)
	s.key = made.PrivateKey.(*ecdsa.PrivateKey)
	s.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate[0]})
	return s
}

func (s *signer) leaf(usage x509.ExtKeyUsage) tls.Certificate {
	return s.sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
}

// sign makes the template's certificate, of a key of its own; the CA's own is signed by itself.
func (s *signer) sign(template *x509.Certificate) tls.Certificate {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(1), pkix.Name{CommonName: "any"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	by := s.key
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.certificate, &key.PublicKey, by)
	if err != nil {
		s.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestOnlyTheCAsClientsAreServedAndOverTLS13(t *testing.T) {
	own, other := newSigner(t), newSigner(t)
	client, stranger := own.leaf(x509.ExtKeyUsageClientAuth), other.leaf(x509.ExtKeyUsageClientAuth)
	file := filepath.Join(t.TempDir(), "ca.crt")
	trust := func(pem []byte) {
		if err := os.WriteFile(file, pem, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own.leaf(x509.ExtKeyUsageServerAuth)}}
	onlyClientsOf(file)(server.TLS)
	server.StartTLS()
	defer server.Close()
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(own.pem)
	// Sessions are kept, as Gatekeeper's client keeps its connections.
	sessions := tls.NewLRUClientSessionCache(0)
	ask := func(newest uint16, certificates ...tls.Certificate) error {
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			RootCAs: authorities,
			// It is shown whoever the server says that it believes.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &append(certificates, tls.Certificate{})[0], nil
			},
			MaxVersion: newest, ClientSessionCache: sessions}}
		response, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Get(server.URL)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	for _, test := range []struct {
		name         string
		trusted      []byte
		newest       uint16
		certificates []tls.Certificate
		served       bool
	}{
		{"a client of the CA", own.pem, tls.VersionTLS13, []tls.Certificate{client}, true},
		{"over TLS 1.2", own.pem, tls.VersionTLS12, []tls.Certificate{client}, false},
		{"without a certificate", own.pem, tls.VersionTLS13, nil, false},
		{"of another CA", own.pem, tls.VersionTLS13, []tls.Certificate{stranger}, false},
		{"a server's certificate", own.pem, tls.VersionTLS13, []tls.Certificate{own.leaf(x509.ExtKeyUsageServerAuth)}, false},
		{"the CA was replaced", other.pem, tls.VersionTLS13, []tls.Certificate{client}, false},
		{"a client of the new one", other.pem, tls.VersionTLS13, []tls.Certificate{stranger}, true},
		{"no CA in the file", nil, tls.VersionTLS13, []tls.Certificate{stranger}, false},
	} {
		trust(test.trusted)
		if err := ask(test.newest, test.certificates...); (err == nil) != test.served {
			t.Errorf("%s: served %v: %v", test.name, err == nil, err)
		}
	}
}
