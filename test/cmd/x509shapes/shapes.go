package main

import (
	"bytes"
	"crypto/elliptic"
	"strings"
	"time"
)

const day = 24 * time.Hour

// A shape is what somebody presents, and whom one trusts.
type shape struct {
	name, usage, host string
	roots             []byte // PEM
	chain             [][]byte
}

const client, server = "client", "server"

func roots(all ...*entity) []byte {
	var out []byte
	for _, one := range all {
		out = append(out, one.pem()...)
	}
	return out
}

func chain(all ...*entity) [][]byte {
	var out [][]byte
	for _, one := range all {
		out = append(out, one.raw)
	}
	return out
}

func shapes() []shape {
	var all []shape
	add := func(name, usage string, roots []byte, chain [][]byte) {
		all = append(all, shape{name: name, usage: usage, roots: roots, chain: chain})
	}
	paths(add)
	usages(add)
	keys(add)
	malformed(add)
	names(add)
	policyShapes(add)
	return append(all, hosts()...)
}

type adder func(name, usage string, roots []byte, chain [][]byte)

func paths(add adder) {
	r := root("root")
	i1 := r.ca("issuing")
	i2 := i1.ca("deeper")
	leaf := i2.issue("alice", eku(clientAuth))
	add("signed by the root", client, roots(r), chain(r.issue("alice", eku(clientAuth))))
	add("the issuing CA alone is trusted", client, roots(i1), chain(i1.issue("alice", eku(clientAuth))))
	add("the issuing CA is trusted, and presented", client, roots(i1), chain(i1.issue("alice"), i1))
	add("the issuing CA is trusted, and its root presented", client, roots(i1), chain(i1.issue("alice"), i1, r))
	add("an intermediate is missing", client, roots(r), chain(leaf, i2))
	add("all intermediates", client, roots(r), chain(leaf, i2, i1))
	add("intermediates in another order", client, roots(r), chain(leaf, i1, i2))
	add("intermediates and the root", client, roots(r), chain(leaf, i2, i1, r))
	add("an intermediate is in the CA file beside the root", client, roots(i1, r), chain(leaf, i2))
	add("intermediates twice", client, roots(r), chain(leaf, i2, i2, i1, i1))
	add("the leaf twice", client, roots(r), chain(leaf, leaf, i2, i1))
	add("the leaf is in the CA file", client, roots(leaf), chain(leaf))
	add("the leaf is in the CA file, for servers", client, roots(r.issue("x"), r), chain(r.issue("s", eku(serverAuth))))
	serverLeaf := r.issue("s", eku(serverAuth))
	add("a leaf for servers is in the CA file", client, roots(serverLeaf), chain(serverLeaf))
	self := build(nil, "self", eku(clientAuth))
	add("self-signed, trusted", client, roots(self), chain(self))
	add("self-signed, not trusted", client, roots(r), chain(self))
	add("signed by a trusted leaf", client, roots(self), chain(self.issue("alice")))
	add("nothing to do with the CA", client, roots(root("other")), chain(leaf))
	add("a CA of the same name and another key", client, roots(root("root")), chain(r.issue("alice")))
	add("two CAs of one name, the second signed", client, roots(root("root"), r), chain(r.issue("alice")))
	add("the subject is its CA's", client, roots(r), chain(r.issue("root", eku(clientAuth))))
	add("the subject is its CA's, by another CA", client, roots(root("root")), chain(r.issue("root")))
	add("subject and issuer differ in case", client, roots(r), chain(r.issue("alice", func(s *spec) { s.issuer = name("ROOT") })))
	add("the issuer is another string type", client, roots(r), chain(r.issue("alice", func(s *spec) {
		s.issuer = seq(attribute(oid(2, 5, 4, 3), 19, "root"))
	})))
	k := ecKey(elliptic.P256())
	a, b := root("a"), root("b")
	crossA, crossB := b.ca("x", withKey(k)), a.ca("x", withKey(k))
	add("cross-signed, the first way", client, roots(a), chain(crossA.issue("alice"), crossA, crossB))
	add("cross-signed, in circles", client, roots(r), chain(crossA.issue("alice"), crossA, crossB, a.ca("b"), b.ca("a")))
	add("key identifiers that don't agree", client, roots(r), chain(r.issue("alice", authorityKeyID("elsewhere"))))
	withID := root("ids", subjectKeyID("own"))
	add("key identifiers that differ", client, roots(withID), chain(withID.issue("alice", authorityKeyID("other"))))

	many := []*entity{r.issue("alice", func(s *spec) { s.issuer = name("m") })}
	for range 120 {
		many = append(many, r.ca("m"))
	}
	add("a hundred and twenty wrong intermediates", client, roots(r), chain(many...))
	good := r.ca("m", subjectKeyID("good"))
	many[0] = good.issue("alice", authorityKeyID("good"))
	add("the likeliest of many intermediates", client, roots(r), chain(append(many, good)...))
	good = r.ca("m")
	many[0] = good.issue("alice")
	add("the last of too many intermediates", client, roots(r), chain(append(many, good)...))

	add("expired", client, roots(r), chain(r.issue("alice", valid(-2*day, -time.Hour))))
	add("not yet valid", client, roots(r), chain(r.issue("alice", valid(time.Hour, day))))
	old := root("old", valid(-2*day, -time.Hour))
	add("an expired root", client, roots(old), chain(old.issue("alice")))
	young := root("young", valid(time.Hour, day))
	add("a root that isn't valid yet", client, roots(young), chain(young.issue("alice")))
	oldCA := r.ca("issuing", valid(-2*day, -time.Hour))
	add("an expired intermediate", client, roots(r), chain(oldCA.issue("alice"), oldCA))
	renewed := r.ca("issuing", withKey(oldCA.key))
	add("an expired intermediate, and its renewal", client, roots(r), chain(oldCA.issue("alice"), oldCA, renewed))
	add("an expired root, and its renewal", client, roots(old, root("old", withKey(old.key))), chain(old.issue("alice")))
	add("an expired leaf in the CA file", client, roots(build(nil, "e", withKey(k), serial(5), valid(-2*day, -day))), chain(build(nil, "e", withKey(k), serial(5), valid(-2*day, -day))))
	expired := build(nil, "e", valid(-2*day, -day))
	add("an expired leaf that is trusted itself", client, roots(expired), chain(expired))

	plain := r.issue("no-ca")
	add("signed by a leaf", client, roots(r), chain(plain.issue("alice"), plain))
	add("signed by a trusted v3 certificate without basicConstraints", client, roots(plain), chain(plain.issue("alice")))
	notCA := r.issue("not-ca", basic(false, -1), usage(5))
	add("signed by one with CA:FALSE", client, roots(r), chain(notCA.issue("alice"), notCA))
	noSign := root("nosign", usage(0, 2))
	add("a root without keyCertSign", client, roots(noSign), chain(noSign.issue("alice")))
	noUsage := root("nousage", without(oidKeyUsage))
	add("a root without keyUsage", client, roots(noUsage), chain(noUsage.issue("alice")))
	zeroUsage := root("zerousage", usage())
	add("a root with an empty keyUsage", client, roots(zeroUsage), chain(zeroUsage.issue("alice")))
	v1 := build(nil, "v1", version(1))
	add("a version 1 root", client, roots(v1), chain(v1.issue("alice")))
	v1i := r.issue("v1i", version(1))
	add("a version 1 intermediate", client, roots(r), chain(v1i.issue("alice"), v1i))
	add("a version 1 intermediate that is trusted", client, roots(v1i), chain(v1i.issue("alice")))
	v2 := build(nil, "v2", version(2))
	add("a version 2 root", client, roots(v2), chain(v2.issue("alice")))
	add("a version 1 leaf", client, roots(r), chain(r.issue("alice", version(1))))

	p0 := root("p0", basic(true, 0))
	add("pathlen 0 and a leaf", client, roots(p0), chain(p0.issue("alice")))
	under := p0.ca("under")
	add("pathlen 0 and an intermediate", client, roots(p0), chain(under.issue("alice"), under))
	same := p0.ca("p0")
	add("pathlen 0 and a self-issued intermediate", client, roots(p0), chain(same.issue("alice"), same))
	p1 := root("p1", basic(true, 1))
	u1 := p1.ca("u1")
	u2 := u1.ca("u2")
	add("pathlen 1 and one intermediate", client, roots(p1), chain(u1.issue("alice"), u1))
	add("pathlen 1 and two intermediates", client, roots(p1), chain(u2.issue("alice"), u2, u1))
	add("a leaf that is a CA", client, roots(r), chain(i1))
	add("a leaf with a pathlen", client, roots(r), chain(r.issue("alice", basic(false, 0))))

	unknown := extension(oid(1, 2, 3, 4), true, null)
	add("an unknown critical extension", client, roots(r), chain(r.issue("alice", ext(unknown))))
	add("an unknown extension", client, roots(r), chain(r.issue("alice", ext(extension(oid(1, 2, 3, 4), false, null)))))
	odd := root("odd", ext(unknown))
	add("an unknown critical extension of the root", client, roots(odd), chain(odd.issue("alice")))
	add("a critical extension of Netscape's", client, roots(r), chain(r.issue("alice", ext(extension(oid(2, 16, 840, 1, 113730, 1, 1), true, null)))))
	add("no subject", client, roots(r), chain(r.issue("", san(dns("a.example.com")))))
}

func usages(add adder) {
	r := root("root")
	for _, u := range []string{client, server} {
		for _, c := range []struct {
			name string
			opt  option
		}{
			{"no extended usage", func(*spec) {}},
			{"clientAuth", eku(clientAuth)},
			{"serverAuth", eku(serverAuth)},
			{"both usages", eku(serverAuth, clientAuth)},
			{"any usage", eku(anyUsage)},
			{"codeSigning", eku(oid(1, 3, 6, 1, 5, 5, 7, 3, 3))},
			{"an unknown usage", eku(oid(1, 2, 3))},
			{"an unknown usage and clientAuth", eku(oid(1, 2, 3), clientAuth)},
			{"an empty list of usages", eku()},
			{"netscape server gated crypto", eku(oid(2, 16, 840, 1, 113730, 4, 1))},
			{"keyUsage keyEncipherment", usage(2, 3)},
			{"keyUsage keyCertSign alone", usage(5)},
			{"keyUsage decipherOnly", usage(8)},
		} {
			add(c.name+" for a "+u, u, roots(r), chain(r.issue("x", c.opt)))
		}
		ci := r.ca("for clients", eku(clientAuth))
		add("an intermediate for clients, and a leaf for any "+u, u, roots(r), chain(ci.issue("x"), ci))
		add("an intermediate for clients, and a leaf for servers "+u, u, roots(r), chain(ci.issue("x", eku(serverAuth)), ci))
		ai := r.ca("for all", eku(anyUsage))
		add("an intermediate for anything "+u, u, roots(r), chain(ai.issue("x", eku(clientAuth)), ai))
		sr := root("for servers", eku(serverAuth))
		add("a root for servers "+u, u, roots(sr), chain(sr.issue("x", eku(clientAuth, serverAuth))))
	}
}

func keys(add adder) {
	r2048 := rsaKey(2048, 65537)
	for _, c := range []struct {
		name string
		key  *key
		alg  algorithm
	}{
		{"RSA 512", rsaKey(512, 65537), sha256RSA},
		{"RSA 768", rsaKey(768, 65537), sha256RSA},
		{"RSA 1016", rsaKey(1016, 65537), sha256RSA},
		{"RSA 1023", rsaKey(1023, 65537), sha256RSA},
		{"RSA 1024", rsaKey(1024, 65537), sha256RSA},
		{"RSA 1025", rsaKey(1025, 65537), sha256RSA},
		{"RSA 1024 with exponent 3", rsaKey(1024, 3), sha256RSA},
		{"RSA with a big exponent", rsaKey(1024, 1<<31+11), sha256RSA},
		{"RSA with the biggest exponent", rsaKey(1024, 1<<31-1), sha256RSA},
		{"RSA with an even exponent", rsaKey(1024, 4), sha256RSA},
		{"RSA 2048", r2048, sha256RSA},
		{"RSA with MD5", r2048, md5RSA},
		{"RSA with SHA-1", r2048, sha1RSA},
		{"RSA with SHA-384", r2048, sha384RSA},
		{"RSA with SHA-512", r2048, sha512RSA},
		{"RSA-PSS", r2048, sha256RSAPSS},
		{"RSA-PSS without salt", r2048, saltlessPSS},
		{"RSA as ECDSA", r2048, sha256ECDSA},
		{"P-224", ecKey(elliptic.P224()), sha256ECDSA},
		{"P-256", ecKey(elliptic.P256()), sha256ECDSA},
		{"P-256 with SHA-1", ecKey(elliptic.P256()), sha1ECDSA},
		{"P-256 with SHA-224", ecKey(elliptic.P256()), sha224ECDSA},
		{"P-256 with SHA-512", ecKey(elliptic.P256()), sha512ECDSA},
		{"P-384", ecKey(elliptic.P384()), sha384ECDSA},
		{"P-521", ecKey(elliptic.P521()), sha512ECDSA},
		{"Ed25519", edKey(), pureEd25519},
		{"Ed25519 with parameters", edKey(), algorithm{identifier: identifier(oid(1, 3, 101, 112), null)}},
		{"P-256 with NULL parameters", ecKey(elliptic.P256()), algorithm{identifier: identifier(oid(1, 2, 840, 10045, 4, 3, 2), null), hash: sha256ECDSA.hash}},
		{"RSA without parameters of the signature", r2048, algorithm{identifier: identifier(oid(1, 2, 840, 113549, 1, 1, 11)), hash: sha256RSA.hash}},
	} {
		ca := root("ca", withKey(c.key), signedAs(c.alg))
		add("a CA of "+c.name, client, roots(ca), chain(ca.issue("alice", signedAs(c.alg))))
		r := root("root")
		add("a leaf of "+c.name, client, roots(r), chain(r.issue("alice", withKey(c.key))))
		add("a trusted leaf of "+c.name, client, roots(ca), chain(ca))
	}
	sha1Self := root("sha1", withKey(r2048), signedAs(sha1RSA))
	add("a root that is signed with SHA-1", client, roots(sha1Self), chain(sha1Self.issue("alice")))
	r := root("root")
	point := ecKey(elliptic.P256()).spki
	compressed := append([]byte{}, point[len(point)-65:len(point)-32]...)
	compressed[0] = 2 + point[len(point)-1]&1
	ecAlg := seq(marshal(oid(1, 2, 840, 10045, 2, 1)), marshal(oid(1, 2, 840, 10045, 3, 1, 7)))
	off := append([]byte{}, point...)
	off[len(off)-1] ^= 1
	for _, c := range []struct {
		name string
		spki []byte
	}{
		{"a compressed point", seq(ecAlg, bits(compressed))},
		{"a point that isn't on the curve", off},
		{"secp256k1", seq(seq(marshal(oid(1, 2, 840, 10045, 2, 1)), marshal(oid(1, 3, 132, 0, 10))), bits(point[len(point)-65:]))},
		{"X25519", seq(seq(marshal(oid(1, 3, 101, 110))), bits(make([]byte, 32)))},
		{"Ed448", seq(seq(marshal(oid(1, 3, 101, 113))), bits(make([]byte, 57)))},
		{"Ed25519 of 31 bytes", seq(seq(marshal(oid(1, 3, 101, 112))), bits(make([]byte, 31)))},
		{"Ed25519 with parameters of the key", seq(seq(marshal(oid(1, 3, 101, 112)), null), bits(make([]byte, 32)))},
		{"RSA-PSS as the key's algorithm", seq(seq(marshal(oid(1, 2, 840, 113549, 1, 1, 10))), bits(seq(marshal(1<<40+1), marshal(3))))},
		{"RSA without NULL", seq(seq(marshal(oid(1, 2, 840, 113549, 1, 1, 1))), bits(seq(marshal(1<<40+1), marshal(3))))},
		{"RSA with a negative modulus", seq(seq(marshal(oid(1, 2, 840, 113549, 1, 1, 1)), null), bits(seq(marshal(-77), marshal(3))))},
		{"RSA with exponent 0", seq(seq(marshal(oid(1, 2, 840, 113549, 1, 1, 1)), null), bits(seq(marshal(1<<40+1), marshal(0))))},
		{"RSA that isn't a key", seq(seq(marshal(oid(1, 2, 840, 113549, 1, 1, 1)), null), bits([]byte{1, 2, 3}))},
		{"DSA", seq(seq(marshal(oid(1, 2, 840, 10040, 4, 1)), seq(marshal(23), marshal(11), marshal(4))), bits(marshal(8)))},
		{"DSA with zero", seq(seq(marshal(oid(1, 2, 840, 10040, 4, 1)), seq(marshal(23), marshal(0), marshal(4))), bits(marshal(8)))},
		{"RSA 8200", seq(seq(marshal(oid(1, 2, 840, 113549, 1, 1, 1)), null), bits(seq(tlv(2, append([]byte{1}, make([]byte, 1023)...), []byte{1, 1}), marshal(3))))},
		{"RSA 8192", seq(seq(marshal(oid(1, 2, 840, 113549, 1, 1, 1)), null), bits(seq(tlv(2, []byte{0, 0x80}, make([]byte, 1022), []byte{1}), marshal(3))))},
	} {
		add("a leaf with the key "+c.name, client, roots(r), chain(r.issue("alice", func(s *spec) { s.spki = c.spki })))
		odd := root("odd", func(s *spec) { s.spki = c.spki })
		add("a CA file with the key "+c.name, client, roots(r, odd), chain(r.issue("alice")))
	}
	add("a broken signature", client, roots(r), chain(r.issue("alice", func(s *spec) {
		s.signature = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	})))
	add("something behind the signature", client, roots(r), chain(r.issue("alice", func(s *spec) {
		s.signature = func(b []byte) []byte { return append(b, 0) }
	})))
}

func malformed(add adder) {
	r := root("root")
	now := time.Now().UTC()
	year := func(n int) string { return now.AddDate(n, 0, 0).Format("060102150405Z") }
	soon := utcTime(year(1))
	past := utcTime(year(-1))
	rename := func(tag byte, value string) option {
		return subject(seq(attribute(oid(2, 5, 4, 3), tag, value)))
	}
	raw := func(f func([]byte) []byte) option { return func(s *spec) { s.wrap = f } }
	for _, c := range []struct {
		name string
		opt  option
	}{
		{"serial 0", serial(0)},
		{"serial -1", serial(-1)},
		{"a long serial", func(s *spec) { s.serial = der{FullBytes: tlv(2, bytes.Repeat([]byte{0x7f}, 40))} }},
		{"a serial that isn't minimal", func(s *spec) { s.serial = der{FullBytes: tlv(2, []byte{0, 1})} }},
		{"an empty serial", func(s *spec) { s.serial = der{FullBytes: tlv(2)} }},
		{"version 4", version(4)},
		{"version 1 with extensions", func(s *spec) { version(1)(s); eku(clientAuth)(s) }},
		{"version 2 with extensions", func(s *spec) { version(2)(s); eku(serverAuth)(s) }},
		{"algorithms that differ", func(s *spec) { s.inner = sha384ECDSA }},
		{"bytes behind the certificate", raw(func(b []byte) []byte { return append(b, 0) })},
		{"a long length", raw(func(b []byte) []byte { return append([]byte{b[0], 0x83, 0}, b[2:]...) })},
		{"an indefinite length", raw(func(b []byte) []byte { return append(append([]byte{b[0], 0x80}, b[4:]...), 0, 0) })},
		{"cut short", raw(func(b []byte) []byte { return b[:len(b)-1] })},
		{"empty", raw(func(b []byte) []byte { return nil })},
		{"an extension twice", func(s *spec) { eku(clientAuth)(s); eku(clientAuth)(s) }},
		{"critical TRUE as 1", ext(seq(marshal(oid(1, 2, 3)), []byte{1, 1, 1}, marshal(null)))},
		{"critical FALSE given", ext(seq(marshal(oid(1, 2, 3)), []byte{1, 1, 0}, marshal(null)))},
		{"an extension without a value", ext(seq(marshal(oid(1, 2, 3))))},
		{"unique identifiers", func(s *spec) { s.after = append(tlv(0x81, []byte{0, 1}), tlv(0x82, []byte{0, 1})...) }},
		{"a bad unique identifier", func(s *spec) { s.after = []byte{0x81, 5, 0} }},
		{"something unknown behind the key", func(s *spec) { s.after = null }},
		{"a UTF-8 name", rename(12, "jürgen")},
		{"a broken UTF-8 name", rename(12, "j\xfcrgen")},
		{"an overlong UTF-8 name", rename(12, "\xc0\xaf")},
		{"a UTF-8 surrogate in the name", rename(12, "\xed\xa0\x80")},
		{"UTF-8 of four bytes", rename(12, "\xf0\x9f\x98\x80")},
		{"UTF-8 beyond Unicode", rename(12, "\xf4\x90\x80\x80")},
		{"a PrintableString", rename(19, "alice (*&) '+,-./:=?")},
		{"a PrintableString with _", rename(19, "alice_1")},
		{"a PrintableString with @", rename(19, "a@b")},
		{"an IA5String name", rename(22, "a@b")},
		{"a broken IA5String", rename(22, "j\xfcrgen")},
		{"a T61String", rename(20, "j\xfcrgen")},
		{"a BMPString", rename(30, "\x00a\x00b")},
		{"an odd BMPString", rename(30, "\x00a\x00")},
		{"a BMPString with surrogates", rename(30, "\xd8\x00\xdc\x00")},
		{"a BMPString with a terminator", rename(30, "\x00a\x00\x00")},
		{"a NumericString", rename(18, "12 3")},
		{"a NumericString with letters", rename(18, "12a")},
		{"a VisibleString", rename(26, "alice")},
		{"a UniversalString", rename(28, "\x00\x00\x00a")},
		{"a name of two values", subject(seq(tlv(0x31, seq(marshal(oid(2, 5, 4, 3)), tlv(12, []byte("a"))), seq(marshal(oid(2, 5, 4, 10)), tlv(12, []byte("o"))))))},
		{"a name with an empty set", subject(seq(tlv(0x31)))},
		{"a name with an odd OID", subject(seq(tlv(0x31, seq(tlv(6, []byte{0x55, 0x80, 3}), tlv(12, []byte("a"))))))},
		{"a name with a huge OID", subject(seq(tlv(0x31, seq(tlv(6, []byte{0x55, 0xff, 0xff, 0xff, 0xff, 0x7f}), tlv(12, []byte("a"))))))},
		{"a name with a sequence for a value", subject(seq(tlv(0x31, seq(marshal(oid(2, 5, 4, 3)), seq()))))},
		{"GeneralizedTime", times(generalizedTime("20200101000000Z"), generalizedTime("20400101000000Z"))},
		{"until the end of time", times(past, generalizedTime("99991231235959Z"))},
		{"from the beginning of time", times(generalizedTime("00010101000000Z"), soon)},
		{"times with fractions", times(past, generalizedTime("20400101000000.5Z"))},
		{"times with an offset", times(past, utcTime(strings.TrimSuffix(year(1), "Z")+"+0100"))},
		{"times with the offset zero", times(past, utcTime(strings.TrimSuffix(year(1), "Z")+"+0000"))},
		{"times without a zone", times(past, utcTime(strings.TrimSuffix(year(1), "Z")))},
		{"times without seconds", times(past, utcTime(now.AddDate(1, 0, 0).Format("0601021504Z")))},
		{"GeneralizedTime without seconds", times(past, generalizedTime("204001010000Z"))},
		{"UTCTime of 1960", times(utcTime("600101000000Z"), soon)},
		{"UTCTime until 1960", times(past, utcTime("600101000000Z"))},
		{"the 30th of February", times(past, utcTime("350230000000Z"))},
		{"the 29th of February", times(past, utcTime("360229000000Z"))},
		{"second 60", times(past, utcTime("350101000060Z"))},
		{"a third time", func(s *spec) { s.validity = seq(past, soon, soon) }},
		{"one time", func(s *spec) { s.validity = seq(past) }},
		{"an integer for a time", times(past, marshal(5))},
		{"ends before it begins", valid(day, -day)},
		{"a critical subject key identifier", ext(extension(oid(2, 5, 29, 14), true, marshal([]byte("id"))))},
		{"a critical authority key identifier", ext(extension(oid(2, 5, 29, 35), true, seq()))},
		{"a broken authority key identifier", ext(extension(oid(2, 5, 29, 35), false, null))},
		{"critical authority information", ext(extension(oid(1, 3, 6, 1, 5, 5, 7, 1, 1), true, seq()))},
		{"broken authority information", ext(extension(oid(1, 3, 6, 1, 5, 5, 7, 1, 1), false, null))},
		{"authority information", ext(extension(oid(1, 3, 6, 1, 5, 5, 7, 1, 1), false, seq(seq(marshal(oid(1, 3, 6, 1, 5, 5, 7, 48, 1)), uri("http://ocsp")))))},
		{"CRL distribution points", ext(extension(oid(2, 5, 29, 31), true, seq(seq(tlv(0xa0, tlv(0xa0, uri("http://crl")))))))},
		{"broken CRL distribution points", ext(extension(oid(2, 5, 29, 31), false, null))},
		{"a broken keyUsage", ext(extension(oidKeyUsage, true, []byte{3, 2, 8, 0}))},
		{"a keyUsage with padding set", ext(extension(oidKeyUsage, true, []byte{3, 2, 5, 0xff}))},
		{"broken basicConstraints", ext(extension(oidBasicConstraints, true, null))},
		{"basicConstraints with a negative pathlen", ext(extension(oidBasicConstraints, true, seq([]byte{1, 1, 0xff}, marshal(-1))))},
		{"a broken list of usages", ext(extension(oid(2, 5, 29, 37), false, marshal(5)))},
		{"policies twice the same", policies(oid(1, 2, 3), oid(1, 2, 3))},
		{"broken policies", ext(extension(oid(2, 5, 29, 32), false, seq(null)))},
		{"broken policy mappings", ext(extension(oid(2, 5, 29, 33), false, seq(seq(null))))},
		{"broken policy constraints", ext(extension(oid(2, 5, 29, 36), false, seq([]byte{0x80, 0})))},
		{"broken inhibitAnyPolicy", ext(extension(oid(2, 5, 29, 54), false, null))},
		{"critical names that nobody reads", ext(extension(oid(2, 5, 29, 17), true, seq(dirName("x"))))},
		{"names that nobody reads", san(dirName("x"), otherName("y"), tlv(0x88, []byte{1}))},
		{"an empty list of names", san()},
		{"an empty critical list of names", ext(extension(oid(2, 5, 29, 17), true, seq()))},
		{"a DNS name that isn't ASCII", san(dns("m\xfcnchen"))},
		{"a DNS name with spaces", san(dns("not a name"))},
		{"an empty DNS name", san(dns(""))},
		{"an IP address of three bytes", san(ip(1, 2, 3))},
		{"an e-mail address that isn't one", san(email("nobody"))},
		{"an e-mail address that isn't ASCII", san(email("j\xfcrgen@x"))},
		{"names that are no sequence", ext(extension(oid(2, 5, 29, 17), false, null))},
	} {
		add(c.name, client, roots(r), chain(r.issue("alice", c.opt)))
		odd := root("odd", c.opt)
		add(c.name+", in the CA file", client, roots(r, odd), chain(r.issue("alice")))
	}
	for _, text := range []string{"spiffe://cluster.local/ns/a/sa/b", "urn:uuid:1", "https://user:pass@host:8443/x?q#f", "//host/x", "host:80x/",
		"1:2", ":x", "http://[::1]:80/", "http://[::1", "http://[fe80::1%25en0]/", "http://[fe80::1%en0]/", "http://[1.2.3.4]/", "x://a:b:80/",
		"http://host:port/", "http://ho st/", "http://host/%zz", "http://%41/", "http://%c3%bc/", "http://host./", "http://ho..st/", "http://ho\x7fst", "", "*",
		"http://us er@host/", "http://host/a b", "/path", "http:///x", "x:%zz", "http://host#%zz", "http://[::1]x/", "a%b://c", "http://a[b]/", "http://host?%zz", "mailto:a@b", "http://<>\"/"} {
		add("the URI "+text, client, roots(r), chain(r.issue("alice", san(uri(text)))))
	}
}

func bits(data []byte) []byte { return tlv(3, []byte{0}, data) }
