package main

import (
	"encoding/asn1"
	"math/big"
	"slices"
	"time"
)

var (
	clientAuth = oid(1, 3, 6, 1, 5, 5, 7, 3, 2)
	serverAuth = oid(1, 3, 6, 1, 5, 5, 7, 3, 1)
	anyUsage   = oid(2, 5, 29, 37, 0)
)

func ext(raw []byte) option { return func(s *spec) { s.exts = append(s.exts, raw) } }

// isCA is what CAs usually have. Another of the same extension replaces it.
func isCA() option {
	return func(s *spec) {
		basic(true, -1)(s)
		usage(5)(s)
	}
}

func replace(id asn1.ObjectIdentifier, raw []byte) option {
	return func(s *spec) {
		s.exts = slices.DeleteFunc(s.exts, func(one []byte) bool {
			return len(one) > 2+len(marshal(id)) && slices.Contains([]string{string(one[2 : 2+len(marshal(id))]), string(one[3 : 3+len(marshal(id))])}, string(marshal(id)))
		})
		if raw != nil {
			s.exts = append(s.exts, raw)
		}
	}
}

var (
	oidKeyUsage         = oid(2, 5, 29, 15)
	oidBasicConstraints = oid(2, 5, 29, 19)
)

func basic(ca bool, path int) option {
	var parts [][]byte
	if ca {
		parts = append(parts, []byte{1, 1, 0xff})
	}
	if path >= 0 {
		parts = append(parts, marshal(path))
	}
	return replace(oidBasicConstraints, extension(oidBasicConstraints, true, seq(parts...)))
}

func usage(bits ...int) option {
	value := asn1.BitString{Bytes: []byte{0, 0}}
	for _, bit := range bits {
		value.Bytes[bit/8] |= 0x80 >> (bit % 8)
		value.BitLength = max(value.BitLength, bit+1)
	}
	value.Bytes = value.Bytes[:(value.BitLength+7)/8]
	return replace(oidKeyUsage, extension(oidKeyUsage, true, marshal(value)))
}

func without(id asn1.ObjectIdentifier) option { return replace(id, nil) }

func eku(usages ...asn1.ObjectIdentifier) option {
	return ext(extension(oid(2, 5, 29, 37), false, marshal(usages)))
}

func san(names ...[]byte) option { return ext(extension(oid(2, 5, 29, 17), false, seq(names...))) }

func email(text string) []byte { return tlv(0x81, []byte(text)) }
func dns(text string) []byte   { return tlv(0x82, []byte(text)) }
func uri(text string) []byte   { return tlv(0x86, []byte(text)) }
func ip(bytes ...byte) []byte  { return tlv(0x87, bytes) }
func dirName(cn string) []byte { return tlv(0xa4, name(cn)) }
func otherName(t string) []byte {
	return tlv(0xa0, marshal(oid(1, 2, 3)), tlv(0xa0, tlv(12, []byte(t))))
}

func trees(names [][]byte) []byte {
	var out []byte
	for _, one := range names {
		out = append(out, seq(one)...)
	}
	return out
}

func constraints(critical bool, permitted, excluded [][]byte) option {
	var parts [][]byte
	if permitted != nil {
		parts = append(parts, tlv(0xa0, trees(permitted)))
	}
	if excluded != nil {
		parts = append(parts, tlv(0xa1, trees(excluded)))
	}
	return ext(extension(oid(2, 5, 29, 30), critical, seq(parts...)))
}

func permit(names ...[]byte) option  { return constraints(true, names, nil) }
func exclude(names ...[]byte) option { return constraints(true, nil, names) }

func subjectKeyID(id string) option {
	return ext(extension(oid(2, 5, 29, 14), false, marshal([]byte(id))))
}

func authorityKeyID(id string) option {
	return ext(extension(oid(2, 5, 29, 35), false, seq(tlv(0x80, []byte(id)))))
}

func policies(ids ...asn1.ObjectIdentifier) option {
	var parts [][]byte
	for _, id := range ids {
		parts = append(parts, seq(marshal(id)))
	}
	return ext(extension(oid(2, 5, 29, 32), false, seq(parts...)))
}

func requirePolicy(skip int) option {
	return ext(extension(oid(2, 5, 29, 36), true, seq(tlv(0x80, marshal(skip)[2:]))))
}

func inhibitMapping(skip int) option {
	return ext(extension(oid(2, 5, 29, 36), true, seq(tlv(0x80, []byte{0}), tlv(0x81, marshal(skip)[2:]))))
}

func mapPolicy(from, to asn1.ObjectIdentifier) option {
	return ext(extension(oid(2, 5, 29, 33), true, seq(seq(marshal(from), marshal(to)))))
}

func inhibitAny(skip int) option { return ext(extension(oid(2, 5, 29, 54), true, marshal(skip))) }

func withKey(k *key) option { return func(s *spec) { s.key = k } }
func signedAs(alg algorithm) option {
	return func(s *spec) { s.outer = alg }
}
func version(v int) option { return func(s *spec) { s.version = v } }
func subject(raw []byte) option {
	return func(s *spec) { s.subject = raw }
}
func serial(n int64) option {
	return func(s *spec) { s.serial = der{FullBytes: marshal(big.NewInt(n))} }
}
func valid(from, to time.Duration) option {
	return func(s *spec) { s.validity = between(time.Now().Add(from), time.Now().Add(to)) }
}
func times(from, to []byte) option { return func(s *spec) { s.validity = seq(from, to) } }

func utcTime(text string) []byte         { return tlv(23, []byte(text)) }
func generalizedTime(text string) []byte { return tlv(24, []byte(text)) }
