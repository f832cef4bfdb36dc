// x509shapes makes certificates of many shapes and prints Go's verdict on each, one a line of fields between tabs:
//
//	verify NAME USAGE HOST VERDICT ROOTS CHAIN   "ok" or why not; ROOTS is PEM in base64, CHAIN DER in base64, comma between
//	pool   NAME STRICT LENIENT TEXT              how many certificates client-go and CertPool find in TEXT, -1 for an error
//	parse  NAME VERDICT DER                      "ok" or why not
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"strings"

	"k8s.io/client-go/util/cert"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for _, s := range shapes() {
		var encoded []string
		for _, one := range s.chain {
			encoded = append(encoded, base64.StdEncoding.EncodeToString(one))
		}
		line(out, "verify", s.name, s.usage, s.host, verdict(s.verify()), base64.StdEncoding.EncodeToString(s.roots), strings.Join(encoded, ","))
	}
	for _, t := range texts() {
		strict, lenient := -1, x509.NewCertPool()
		if found, err := cert.ParseCertsPEM([]byte(t.text)); err == nil {
			strict = len(found)
		}
		lenient.AppendCertsFromPEM([]byte(t.text))
		line(out, "pool", t.name, fmt.Sprint(strict), fmt.Sprint(len(lenient.Subjects())), base64.StdEncoding.EncodeToString([]byte(t.text)))
	}
	for _, one := range mutations() {
		_, err := x509.ParseCertificate(one)
		line(out, "parse", "a mutation", verdict(err), base64.StdEncoding.EncodeToString(one))
	}
}

func line(out *bufio.Writer, fields ...string) {
	for i, field := range fields {
		fields[i] = strings.Map(func(r rune) rune {
			if r == '\t' || r == '\n' {
				return ' '
			}
			return r
		}, field)
	}
	fmt.Fprintln(out, strings.Join(fields, "\t"))
}

func verdict(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

// verify does what a Go server or client does with what it is presented: crypto/tls parses and looks at the keys, then
// k8s.io/apiserver pkg/authentication/request/x509 (DefaultVerifyOptions), or crypto/tls, has it verified.
func (s shape) verify() error {
	var presented []*x509.Certificate
	for _, raw := range s.chain {
		one, err := x509.ParseCertificate(raw)
		if err != nil {
			return err
		}
		if key, ok := one.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > 8192 {
			return errors.New("tls: RSA key larger than 8192 bits")
		}
		presented = append(presented, one)
	}
	switch presented[0].PublicKey.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return errors.New("tls: unsupported type of public key")
	}
	trusted, err := cert.ParseCertsPEM(s.roots)
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), DNSName: s.host}
	for _, one := range trusted {
		options.Roots.AddCert(one)
	}
	for _, one := range presented[1:] {
		options.Intermediates.AddCert(one)
	}
	options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if s.usage == server {
		options.KeyUsages[0] = x509.ExtKeyUsageServerAuth
	}
	_, err = presented[0].Verify(options)
	return err
}

type text struct{ name, text string }

func texts() []text {
	one, two := string(root("one").pem()), string(root("two").pem())
	body := strings.Join(strings.Split(strings.TrimSpace(one), "\n")[1:], "\n")
	head := "-----BEGIN CERTIFICATE-----\n"
	foot := "-----END CERTIFICATE-----\n"
	bad := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root("bad", serial(-1)).raw}))
	key := "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	return []text{
		{"one", one}, {"two", one + two}, {"the same twice", one + one}, {"nothing", ""}, {"text", "hello\n"},
		{"text around", "subject=/CN=one\n" + one + "\n\nmore\n" + two + "end"},
		{"without a last newline", strings.TrimSpace(one)},
		{"CRLF", strings.ReplaceAll(one+two, "\n", "\r\n")},
		{"CR", strings.ReplaceAll(one, "\n", "\r")},
		{"a byte order mark", "\ufeff" + one + two},
		{"indented", "  " + strings.ReplaceAll(one, "\n", "\n  ")},
		{"spaces at the ends", strings.ReplaceAll(one, "\n", " \t\n")},
		{"spaces within", strings.ReplaceAll(one, "M", "M ") + two},
		{"one long line", head + strings.ReplaceAll(strings.TrimSuffix(body, strings.TrimSpace(foot)), "\n", "") + "\n" + foot},
		{"END on the same line", head + strings.ReplaceAll(body, "\n-----END", "-----END")},
		{"headers", strings.Replace(one, head, head+"Proc-Type: 4,ENCRYPTED\n\n", 1) + two},
		{"headers alone", head + "A: b\n" + foot},
		{"headers without a gap", strings.Replace(one, head, head+"A: b\n", 1)},
		{"TRUSTED CERTIFICATE", strings.ReplaceAll(one, "CERTIFICATE", "TRUSTED CERTIFICATE")},
		{"X509 CERTIFICATE", strings.ReplaceAll(one, "CERTIFICATE", "X509 CERTIFICATE") + two},
		{"BEGIN and END differ", strings.Replace(one, "END CERTIFICATE", "END X509 CERTIFICATE", 1) + two},
		{"two BEGIN", head + one}, {"END is missing", strings.TrimSuffix(one, foot) + two}, {"BEGIN is missing", strings.TrimPrefix(one, head) + two},
		{"a key beside", key + one}, {"a key alone", key}, {"a broken key", "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n" + one},
		{"base64 that is cut", head + body[:100] + "\n" + foot + two}, {"an empty block", head + foot + two},
		{"one that Go refuses", bad + one}, {"one alone that Go refuses", bad}, {"no certificate within", head + "aGVsbG8=\n" + foot},
		{"dashes behind", strings.Replace(one, foot, "-----END CERTIFICATE------\n", 1)}, {"text behind END", strings.Replace(one, foot, "-----END CERTIFICATE----- x\n", 1)},
		{"text behind BEGIN", strings.Replace(one, head, "-----BEGIN CERTIFICATE----- x\n", 1) + two}, {"no text on the line", "x" + one + two},
	}
}

// mutations are certificates with a few bytes changed: most can't be parsed. The same each time but for the keys.
func mutations() [][]byte {
	r := root("root")
	k := r.ca("ca", subjectKeyID("abc"), authorityKeyID("def"), permit(dns("example.com"), ip(10, 0, 0, 0, 255, 0, 0, 0), email("a@b.c"), uri("x.y")), policies(oid(1, 2, 3)),
		mapPolicy(oid(1, 2, 3), oid(1, 2, 4)), requirePolicy(1), inhibitAny(1))
	leaf := r.issue("leaf", san(dns("a.example.com"), ip(1, 2, 3, 4), email("a@b.c"), uri("https://h:1/p")), eku(clientAuth, anyUsage), usage(0, 2),
		ext(extension(oid(1, 3, 6, 1, 5, 5, 7, 1, 1), false, seq(seq(marshal(oid(1, 3, 6, 1, 5, 5, 7, 48, 1)), uri("http://ocsp"))))),
		ext(extension(oid(2, 5, 29, 31), false, seq(seq(tlv(0xa0, tlv(0xa0, uri("http://crl"))))))))
	signed := root("rsa", withKey(rsaKey(1024, 65537)), signedAs(sha256RSAPSS))
	ed := root("ed", withKey(edKey()))
	random := rand.New(rand.NewSource(1))
	var all [][]byte
	for _, from := range []*entity{k, leaf, signed, ed} {
		for range 3000 {
			one := append([]byte{}, from.raw...)
			for range 1 + random.Intn(2) {
				at := random.Intn(len(one))
				switch random.Intn(4) {
				case 0:
					one[at] ^= 1 << random.Intn(8)
				case 1:
					one[at] = byte(random.Intn(256))
				case 2:
					one[at]++
				default:
					one[at]--
				}
			}
			all = append(all, one)
		}
	}
	return all
}
