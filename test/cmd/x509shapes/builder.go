package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"time"
)

// Certificates are put together here, and not by x509.CreateCertificate, which makes only those that it would take.

// A raw DER value.
type der = asn1.RawValue

// An algorithm that signs.
type algorithm struct {
	identifier der
	hash       crypto.Hash
	pss        bool
}

// A key, with its public half as certificates have it.
type key struct {
	sign func(algorithm, []byte) []byte
	spki []byte
	alg  algorithm
}

// An entity has a certificate and can issue others.
type entity struct {
	spec
	raw []byte
}

// What a certificate says. Whatever is nil gets what is usual.
type spec struct {
	version   int
	serial    der
	inner     algorithm // beside the signature, and in what is signed
	outer     algorithm
	issuer    []byte
	validity  []byte
	subject   []byte
	key       *key
	spki      []byte
	after     []byte // what follows the key, before the extensions
	exts      [][]byte
	noExts    bool
	wrap      func([]byte) []byte // of the whole certificate
	signature func([]byte) []byte
}

type option func(*spec)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func oid(numbers ...int) asn1.ObjectIdentifier { return numbers }

func marshal(value any) []byte { return must(asn1.Marshal(value)) }

// tlv is DER of any tag: head says class, construction and number.
func tlv(head byte, parts ...[]byte) []byte {
	var contents []byte
	for _, part := range parts {
		contents = append(contents, part...)
	}
	out := []byte{head}
	switch n := len(contents); {
	case n < 128:
		out = append(out, byte(n))
	case n < 256:
		out = append(out, 0x81, byte(n))
	default:
		out = append(out, 0x82, byte(n>>8), byte(n))
	}
	return append(out, contents...)
}

func seq(parts ...[]byte) []byte { return tlv(0x30, parts...) }

func identifier(id asn1.ObjectIdentifier, parameters ...[]byte) der {
	return der{FullBytes: seq(append([][]byte{marshal(id)}, parameters...)...)}
}

var null = []byte{5, 0}

func pss(hash asn1.ObjectIdentifier, salt int) der {
	h := seq(marshal(hash), null)
	mgf := seq(marshal(oid(1, 2, 840, 113549, 1, 1, 8)), h)
	return identifier(oid(1, 2, 840, 113549, 1, 1, 10),
		seq(tlv(0xa0, h), tlv(0xa1, mgf), tlv(0xa2, marshal(salt))))
}

var (
	oidSHA256    = oid(2, 16, 840, 1, 101, 3, 4, 2, 1)
	md5RSA       = algorithm{identifier: identifier(oid(1, 2, 840, 113549, 1, 1, 4), null), hash: crypto.MD5}
	sha1RSA      = algorithm{identifier: identifier(oid(1, 2, 840, 113549, 1, 1, 5), null), hash: crypto.SHA1}
	sha256RSA    = algorithm{identifier: identifier(oid(1, 2, 840, 113549, 1, 1, 11), null), hash: crypto.SHA256}
	sha384RSA    = algorithm{identifier: identifier(oid(1, 2, 840, 113549, 1, 1, 12), null), hash: crypto.SHA384}
	sha512RSA    = algorithm{identifier: identifier(oid(1, 2, 840, 113549, 1, 1, 13), null), hash: crypto.SHA512}
	sha256RSAPSS = algorithm{identifier: pss(oidSHA256, 32), hash: crypto.SHA256, pss: true}
	saltlessPSS  = algorithm{identifier: pss(oidSHA256, 0), hash: crypto.SHA256, pss: true}
	sha1ECDSA    = algorithm{identifier: identifier(oid(1, 2, 840, 10045, 4, 1)), hash: crypto.SHA1}
	sha224ECDSA  = algorithm{identifier: identifier(oid(1, 2, 840, 10045, 4, 3, 1)), hash: crypto.SHA224}
	sha256ECDSA  = algorithm{identifier: identifier(oid(1, 2, 840, 10045, 4, 3, 2)), hash: crypto.SHA256}
	sha384ECDSA  = algorithm{identifier: identifier(oid(1, 2, 840, 10045, 4, 3, 3)), hash: crypto.SHA384}
	sha512ECDSA  = algorithm{identifier: identifier(oid(1, 2, 840, 10045, 4, 3, 4)), hash: crypto.SHA512}
	pureEd25519  = algorithm{identifier: identifier(oid(1, 3, 101, 112))}
)

func digest(hash crypto.Hash, text []byte) []byte {
	switch hash {
	case crypto.MD5:
		sum := md5.Sum(text)
		return sum[:]
	case crypto.SHA1:
		sum := sha1.Sum(text)
		return sum[:]
	case crypto.SHA224:
		sum := sha256.Sum224(text)
		return sum[:]
	case crypto.SHA384:
		sum := sha512.Sum384(text)
		return sum[:]
	case crypto.SHA512:
		sum := sha512.Sum512(text)
		return sum[:]
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

func ecKey(curve elliptic.Curve) *key {
	private := must(ecdsa.GenerateKey(curve, rand.Reader))
	return &key{
		sign: func(alg algorithm, text []byte) []byte {
			return must(ecdsa.SignASN1(rand.Reader, private, digest(alg.hash, text)))
		},
		spki: must(x509.MarshalPKIXPublicKey(&private.PublicKey)), alg: sha256ECDSA,
	}
}

func edKey() *key {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	return &key{
		sign: func(_ algorithm, text []byte) []byte { return ed25519.Sign(private, text) },
		spki: must(x509.MarshalPKIXPublicKey(public)), alg: must(pureEd25519, err),
	}
}

// rsaKey signs by itself: Go's own refuses small keys and odd exponents.
func rsaKey(bits int, exponent int64) *key {
	e := big.NewInt(exponent)
	for {
		p, q := must(rand.Prime(rand.Reader, bits/2)), must(rand.Prime(rand.Reader, bits-bits/2))
		n := new(big.Int).Mul(p, q)
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if n.BitLen() != bits || d == nil && exponent%2 != 0 {
			continue
		}
		return &key{
			sign: func(alg algorithm, text []byte) []byte { return rsaSign(alg, text, n, d) },
			spki: seq(seq(marshal(oid(1, 2, 840, 113549, 1, 1, 1)), null),
				marshal(asn1.BitString{Bytes: seq(marshal(n), marshal(e)), BitLength: 8 * len(seq(marshal(n), marshal(e)))})),
			alg: sha256RSA,
		}
	}
}

func rsaSign(alg algorithm, text []byte, n, d *big.Int) []byte {
	if d == nil {
		return make([]byte, (n.BitLen()+7)/8)
	}
	size := (n.BitLen() + 7) / 8
	var padded []byte
	if alg.pss {
		padded = pssPad(alg, text, n.BitLen()-1)
	} else {
		hashes := map[crypto.Hash]asn1.ObjectIdentifier{
			crypto.MD5: oid(1, 2, 840, 113549, 2, 5), crypto.SHA1: oid(1, 3, 14, 3, 2, 26), crypto.SHA256: oidSHA256,
			crypto.SHA384: oid(2, 16, 840, 1, 101, 3, 4, 2, 2), crypto.SHA512: oid(2, 16, 840, 1, 101, 3, 4, 2, 3)}
		info := seq(seq(marshal(hashes[alg.hash]), null), marshal(digest(alg.hash, text)))
		padded = append([]byte{0, 1}, make([]byte, max(0, size-len(info)-3))...)
		for i := 2; i < len(padded); i++ {
			padded[i] = 0xff
		}
		padded = append(append(padded, 0), info...)
	}
	signed := new(big.Int).Exp(new(big.Int).SetBytes(padded), d, n)
	return signed.FillBytes(make([]byte, size))
}

// pssPad is EMSA-PSS with SHA-256 and a salt of its length, or none.
func pssPad(alg algorithm, text []byte, bits int) []byte {
	salt := make([]byte, 32)
	if string(alg.identifier.FullBytes) == string(saltlessPSS.identifier.FullBytes) {
		salt = nil
	}
	h := digest(alg.hash, append(append(make([]byte, 8), digest(alg.hash, text)...), salt...))
	size := (bits + 7) / 8
	db := make([]byte, size-len(h)-1)
	copy(db[len(db)-len(salt):], salt)
	db[len(db)-len(salt)-1] = 1
	for i, counter := 0, uint32(0); i < len(db); counter++ {
		for _, b := range digest(alg.hash, append(append([]byte{}, h...), byte(counter>>24), byte(counter>>16), byte(counter>>8), byte(counter))) {
			if i < len(db) {
				db[i] ^= b
				i++
			}
		}
	}
	db[0] &= 0xff >> (8*size - bits)
	return append(append(db, h...), 0xbc)
}

func attribute(id asn1.ObjectIdentifier, tag byte, value string) []byte {
	return tlv(0x31, seq(marshal(id), tlv(tag, []byte(value))))
}

func name(cn string, organizations ...string) []byte {
	var parts [][]byte
	for _, o := range organizations {
		parts = append(parts, attribute(oid(2, 5, 4, 10), 12, o))
	}
	if cn != "" {
		parts = append(parts, attribute(oid(2, 5, 4, 3), 12, cn))
	}
	return seq(parts...)
}

func between(from, to time.Time) []byte { return seq(marshal(from.UTC()), marshal(to.UTC())) }

func extension(id asn1.ObjectIdentifier, critical bool, value []byte) []byte {
	return marshal(pkix.Extension{Id: id, Critical: critical, Value: value})
}

var serials = int64(1000)

func build(issuer *entity, cn string, options ...option) *entity {
	serials++
	s := spec{version: 3, serial: der{FullBytes: marshal(big.NewInt(serials))}, subject: name(cn),
		validity: between(time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour))}
	for _, o := range options {
		o(&s)
	}
	if s.key == nil {
		s.key = ecKey(elliptic.P256())
	}
	e := &entity{spec: s}
	if issuer == nil {
		issuer = e
	}
	if s.issuer == nil {
		s.issuer = issuer.subject
	}
	if s.outer.identifier.FullBytes == nil {
		s.outer = issuer.key.alg
	}
	if s.inner.identifier.FullBytes == nil {
		s.inner = s.outer
	}
	if s.spki == nil {
		s.spki = s.key.spki
	}
	e.raw = assemble(s, issuer.key)
	return e
}

func assemble(s spec, by *key) []byte {
	var version, exts []byte
	if s.version != 1 {
		version = tlv(0xa0, marshal(s.version-1))
	}
	if len(s.exts) > 0 && !s.noExts {
		exts = tlv(0xa3, seq(s.exts...))
	}
	tbs := seq(version, s.serial.FullBytes, s.inner.identifier.FullBytes, s.issuer, s.validity, s.subject, s.spki, s.after, exts)
	signature := by.sign(s.outer, tbs)
	if s.signature != nil {
		signature = s.signature(signature)
	}
	raw := seq(tbs, s.outer.identifier.FullBytes, marshal(asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}))
	if s.wrap != nil {
		raw = s.wrap(raw)
	}
	return raw
}

// root signs itself.
func root(cn string, options ...option) *entity {
	return build(nil, cn, append([]option{isCA()}, options...)...)
}

func (e *entity) issue(cn string, options ...option) *entity { return build(e, cn, options...) }

// ca issues an intermediate.
func (e *entity) ca(cn string, options ...option) *entity {
	return build(e, cn, append([]option{isCA()}, options...)...)
}

func (e *entity) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.raw})
}
