package main

import (
	"fmt"
	"strings"
)

func names(add adder) {
	type test struct {
		name string
		ca   option
		leaf option
	}
	none := func(*spec) {}
	tests := []test{
		{"a constraint of another kind", permit(dirName("x")), none},
		{"an uncritical constraint of another kind", constraints(false, [][]byte{dirName("x")}, nil), san(dns("a"))},
		{"a constraint of the wrong kind beside one", permit(dirName("x"), dns("example.com")), san(dns("a.example.com"))},
		{"no names at all", permit(dns("example.com")), none},
		{"empty constraints", constraints(true, nil, nil), none},
		{"constraints that are empty lists", constraints(true, [][]byte{}, [][]byte{}), none},
		{"names of another kind", permit(dns("example.com")), san(ip(10, 0, 0, 1), email("a@b"))},
		{"two kinds", permit(dns("example.com"), ip(10, 0, 0, 0, 255, 0, 0, 0)), san(dns("a.example.com"), ip(11, 0, 0, 1))},
		{"permitted and excluded", constraints(true, [][]byte{dns("example.com")}, [][]byte{dns("bad.example.com")}), san(dns("x.bad.example.com"))},
		{"a URI without a host", permit(dns("example.com")), san(dns("a.example.com"), uri("urn:x"))},
		{"a URI with an address", permit(dns("example.com")), san(uri("http://1.2.3.4/"))},
		{"a URI with an IPv6 address", permit(dns("example.com")), san(uri("http://[::1]:80/"))},
		{"an unreadable mailbox", permit(dns("example.com")), san(email("nobody"))},
		{"a DNS name that can't be read", exclude(dns("example.com")), san(dns("not a name"))},
		{"a DNS name with a final dot", exclude(dns("example.org")), san(dns("example.com."))},
		{"a mask that isn't one", permit(ip(10, 0, 0, 0, 255, 0, 255, 0)), none},
		{"a network of five bytes", permit(ip(10, 0, 0, 0, 255)), none},
		{"a URI constraint that is an address", permit(uri("1.2.3.4")), none},
		{"a broken DNS constraint", permit(dns("a..b")), none},
		{"a DNS constraint with a final dot", permit(dns("example.com.")), none},
		{"a broken mailbox constraint", permit(email("@")), none},
		{"a minimum", ext(extension(oid(2, 5, 29, 30), true, seq(tlv(0xa0, seq(dns("example.com"), tlv(0x80, []byte{0})))))), san(dns("a.example.com"))},
	}
	pairs := func(kind func(string) []byte, constraints, values string) {
		for _, c := range strings.Fields(constraints) {
			c = strings.Trim(c, "'")
			for _, v := range strings.Fields(values) {
				v = strings.Trim(v, "'")
				tests = append(tests, test{fmt.Sprintf("%q permitted, %q", c, v), permit(kind(c)), san(kind(v))},
					test{fmt.Sprintf("%q excluded, %q", c, v), exclude(kind(c)), san(kind(v))})
			}
		}
	}
	pairs(dns, "example.com .example.com '' EXAMPLE.com a.b.example.com", "example.com a.example.com A.Example.COM notexample.com *.example.com *.b.example.com com example.org ''")
	pairs(email, "example.com .example.com joe@example.com Joe@EXAMPLE.com", "joe@example.com Joe@example.com joe@EXAMPLE.com joe@a.example.com ann@example.com \"joe\"@example.com joe\\@x@example.com a..b@example.com")
	uris := func(constraint, value string) {
		tests = append(tests, test{fmt.Sprintf("URI %q permitted, %q", constraint, value), permit(uri(constraint)), san(uri(value))},
			test{fmt.Sprintf("URI %q excluded, %q", constraint, value), exclude(uri(constraint)), san(uri(value))})
	}
	for _, c := range []string{"example.com", ".example.com"} {
		for _, v := range []string{"spiffe://example.com/a", "https://a.example.com:443/", "https://A.EXAMPLE.com/", "https://other/"} {
			uris(c, v)
		}
	}
	networks := func(network, address []byte) {
		tests = append(tests, test{fmt.Sprintf("%v permitted, %v", network, address), permit(ip(network...)), san(ip(address...))},
			test{fmt.Sprintf("%v excluded, %v", network, address), exclude(ip(network...)), san(ip(address...))})
	}
	six := func(first byte) []byte { return append([]byte{first}, make([]byte, 15)...) }
	mask := append([]byte{255}, make([]byte, 15)...)
	networks([]byte{10, 0, 0, 0, 255, 0, 0, 0}, []byte{10, 1, 2, 3})
	networks([]byte{10, 0, 0, 0, 255, 0, 0, 0}, []byte{11, 1, 2, 3})
	networks([]byte{0, 0, 0, 0, 0, 0, 0, 0}, []byte{11, 1, 2, 3})
	networks([]byte{0, 0, 0, 0, 0, 0, 0, 0}, six(1))
	networks(append(six(0xfc), mask...), six(0xfc))
	networks(append(six(0xfc), mask...), six(0xfd))
	networks(append(six(0), make([]byte, 16)...), []byte{1, 2, 3, 4})

	r := root("root")
	for _, t := range tests {
		ca := r.ca("constrained", t.ca)
		add(t.name, client, roots(r), chain(ca.issue("x", t.leaf), ca))
	}
	own := root("own", permit(dns("example.com")))
	add("constraints of the root", client, roots(own), chain(own.issue("x", san(dns("example.org")))))
	add("constraints of the root, for its own names", client, roots(own), chain(own))
	middle := own.ca("middle", san(dns("example.org")))
	add("names of an intermediate", client, roots(own), chain(middle.issue("x"), middle))
	inner := r.ca("inner", san(dns("example.org")), permit(dns("example.com")))
	add("constraints of an intermediate with names", client, roots(r), chain(inner.issue("x", san(dns("example.com"))), inner))
	a := r.ca("two ways", permit(dns("example.org")))
	b := r.ca("two ways", withKey(a.key), permit(dns("example.com")))
	add("one of two paths allows the name", client, roots(r), chain(a.issue("x", san(dns("example.com"))), a, b))
}

func policyShapes(add adder) {
	one, two := oid(1, 2, 3, 1), oid(1, 2, 3, 2)
	any := oid(2, 5, 29, 32, 0)
	for _, c := range []struct {
		name          string
		outer, middle []option
		leaf          []option
	}{
		{"policies that nobody requires", nil, []option{policies(one)}, []option{policies(two)}},
		{"required, and none there", nil, []option{requirePolicy(0)}, nil},
		{"required, and there all the way", nil, []option{requirePolicy(0), policies(one)}, []option{policies(one)}},
		{"required, and another", nil, []option{requirePolicy(0), policies(one)}, []option{policies(two)}},
		{"required, and any in the middle", nil, []option{requirePolicy(0), policies(any)}, []option{policies(two)}},
		{"required, and any at the end", nil, []option{requirePolicy(0), policies(one)}, []option{policies(any)}},
		{"required by the root", []option{requirePolicy(0)}, nil, nil},
		{"required after two", nil, []option{requirePolicy(2)}, nil},
		{"required after one", nil, []option{requirePolicy(1)}, nil},
		{"mapped", nil, []option{requirePolicy(0), policies(one), mapPolicy(one, two)}, []option{policies(two)}},
		{"mapped elsewhere", nil, []option{requirePolicy(0), policies(one), mapPolicy(one, two)}, []option{policies(one)}},
		{"any, and mapped", nil, []option{requirePolicy(0), policies(any), mapPolicy(one, two)}, []option{policies(two)}},
		{"mapped from any", nil, []option{requirePolicy(0), policies(any), mapPolicy(any, two)}, []option{policies(two)}},
		{"mapping inhibited", nil, []option{inhibitMapping(0), policies(one), mapPolicy(one, two)}, []option{policies(two)}},
		{"any inhibited", nil, []option{requirePolicy(0), inhibitAny(0), policies(one)}, []option{policies(any)}},
		{"any inhibited later", nil, []option{requirePolicy(0), inhibitAny(1), policies(one)}, []option{policies(any)}},
		{"the leaf requires one", nil, []option{policies(one)}, []option{requirePolicy(0)}},
		{"the leaf requires one and has it", nil, []option{policies(one)}, []option{requirePolicy(0), policies(one)}},
		{"two policies", nil, []option{requirePolicy(0), policies(one, two)}, []option{policies(two)}},
	} {
		r := root("root", c.outer...)
		m := r.ca("middle", c.middle...)
		inner := m.ca("inner", policies(one, two))
		add("policies: "+c.name, client, roots(r), chain(m.issue("x", c.leaf...), m))
		add("policies: "+c.name+", one deeper", client, roots(r), chain(inner.issue("x", c.leaf...), inner, m))
		self := m.ca("middle", policies(any), withKey(m.key), san(dns("again")))
		add("policies: "+c.name+", self-issued between", client, roots(r), chain(self.issue("x", c.leaf...), self, m))
		add("policies: "+c.name+", the middle is the anchor", client, roots(m), chain(m.issue("x", c.leaf...)))
	}
}

func hosts() []shape {
	var all []shape
	r := root("root")
	named := []struct {
		name string
		leaf *entity
	}{
		{"a name", r.issue("cn.example.com", san(dns("etcd.example.com")))},
		{"an upper-case name", r.issue("x", san(dns("ETCD.Example.com")))},
		{"a wildcard", r.issue("x", san(dns("*.example.com")))},
		{"a wildcard within a label", r.issue("x", san(dns("e*.example.com")))},
		{"a wildcard in the middle", r.issue("x", san(dns("etcd.*.com")))},
		{"a bare wildcard", r.issue("x", san(dns("*")))},
		{"a name with a final dot", r.issue("x", san(dns("etcd.example.com.")))},
		{"a name with _", r.issue("x", san(dns("etcd_0.example.com"), dns("_x")))},
		{"a name with -", r.issue("x", san(dns("-x.example.com"), dns("etcd-.example.com")))},
		{"an address as a name", r.issue("x", san(dns("127.0.0.1"), dns("::1")))},
		{"addresses", r.issue("127.0.0.2", san(ip(127, 0, 0, 1), ip(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)))},
		{"an address mapped into IPv6", r.issue("x", san(ip(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1)))},
		{"the common name alone", r.issue("etcd.example.com")},
		{"a single label", r.issue("x", san(dns("localhost")))},
		{"an empty name", r.issue("x", san(dns("")))},
		{"odd names", r.issue("x", san(dns("a b"), dns("."), dns("a..b"), dns("*.*.com")))},
		{"a URI", r.issue("x", san(uri("https://etcd.example.com")))},
	}
	for _, n := range named {
		for _, host := range []string{"etcd.example.com", "ETCD.EXAMPLE.COM", "etcd.example.com.", "example.com", "a.b.example.com", "*.example.com",
			"cn.example.com", "etcd_0.example.com", "_x", "-x.example.com", "etcd-.example.com", "127.0.0.1", "127.0.0.2", "127.0.0.01", "127.1", "::1", "[::1]",
			"::ffff:127.0.0.1", "[127.0.0.1]", "0:0::1", "::1%lo", "localhost", "LOCALHOST.", ".", "..", "a b", "a..b", "x.y.com", "e*.example.com", "etcd.x.com", ".example.com"} {
			all = append(all, shape{name: fmt.Sprintf("%s for %q", n.name, host), usage: server, host: host, roots: roots(r), chain: chain(n.leaf)})
		}
	}
	return all
}
