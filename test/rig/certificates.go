package rig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// CA signs certificates.
type CA struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	PEM         []byte
}

// NewCA makes one with a key of its own.
func NewCA(t *testing.T, name string) *CA {
	t.Helper()
	template := template(name)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	key := newKey(t)
	ca := &CA{certificate: template, key: key}
	ca.PEM = sign(t, template, ca, key)
	return ca
}

// Pool has the CA alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM)
	return pool
}

// Issuing is a CA of its own that this one has signed.
func (ca *CA) Issuing(t *testing.T, name string) *CA {
	t.Helper()
	template := template(name)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	key := newKey(t)
	return &CA{certificate: template, key: key, PEM: sign(t, template, ca, key)}
}

// KeyPEM is the key that it signs with.
func (ca *CA) KeyPEM(t *testing.T) []byte {
	t.Helper()
	return keyPEM(t, ca.key)
}

// Serving is a certificate for these names, and its key; both PEM.
func (ca *CA) Serving(t *testing.T, names ...string) (certificate, key []byte) {
	t.Helper()
	return ca.named(t, names, x509.ExtKeyUsageServerAuth)
}

// Both is a certificate for these names that its owner may also be a client with, and its key; both PEM.
func (ca *CA) Both(t *testing.T, names ...string) (certificate, key []byte) {
	t.Helper()
	return ca.named(t, names, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
}

func (ca *CA) named(t *testing.T, names []string, usages ...x509.ExtKeyUsage) (certificate, key []byte) {
	t.Helper()
	return ca.Otherwise(t, names[0], func(template *x509.Certificate) {
		template.DNSNames = names
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		template.ExtKeyUsage = usages
	})
}

// Client is a certificate for a user of these groups, and its key; both PEM.
func (ca *CA) Client(t *testing.T, user string, groups ...string) (certificate, key []byte) {
	t.Helper()
	return ca.Otherwise(t, user, func(template *x509.Certificate) {
		template.Subject.Organization = groups
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
}

// Otherwise is a certificate as a test wants it to be, and its key; both PEM.
func (ca *CA) Otherwise(t *testing.T, name string, make func(*x509.Certificate)) (certificate, key []byte) {
	t.Helper()
	template := template(name)
	make(template)
	own := newKey(t)
	return sign(t, template, ca, own), keyPEM(t, own)
}

// KeyPair is a key to sign service account tokens with, and its public half; both PEM.
func KeyPair(t *testing.T) (private, public []byte) {
	t.Helper()
	key := newKey(t)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return keyPEM(t, key), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyPEM(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

func sign(t *testing.T, template *x509.Certificate, ca *CA, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
