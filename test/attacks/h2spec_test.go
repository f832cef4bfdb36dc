package attacks

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"strata/test/rig"
)

// Cases of h2spec that fail, and why that is right.
var deviations = map[string]string{
	"http2/5.3.1/2": "RFC 9113 has no dependencies of streams any more (section 5.3): what a PRIORITY frame says is ignored",
}

// Every case of h2spec, the strict ones too.
func TestHTTP2IsSpokenAsSpecified(t *testing.T) {
	clients := rig.NewCA(t, "clients")
	certificate, key := clients.Client(t, "h2spec", "devs")
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// A connection is only kept for somebody, and some cases want an answer of some length.
	s := start(t, "--client-ca-file="+write("clients.crt", clients.PEM))
	_, portText, err := net.SplitHostPort(s.address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Config{Host: "127.0.0.1", Port: port, Path: rig.LayersPath("demo", "app"), Timeout: 5 * time.Second, MaxHeaderLen: 4000,
		Strict: true, TLS: true, Insecure: true, CertFile: write("client.crt", certificate), CertKeyFile: write("client.key", key)}

	// It prints what it does.
	stdout := os.Stdout
	if os.Stdout, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { os.Stdout = stdout }()
	passed := 0
	for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		group.Test(c)
		passed += group.PassedCount
		judge(t, group)
	}
	t.Logf("%d cases pass", passed)
	if passed < 140 {
		t.Errorf("only %d cases were tried", passed)
	}
}

func judge(t *testing.T, group *spec.TestGroup) {
	for _, one := range append(group.Tests, group.StrictTests...) {
		result := one.Result
		if result == nil {
			continue
		}
		id := fmt.Sprintf("%s/%d", group.ID(), result.Sequence)
		why, allowed := deviations[id]
		switch {
		case result.Failed && !allowed:
			t.Errorf("%s: %s: %v", id, one.Desc, result.Error)
		case !result.Failed && !result.Skipped && allowed:
			t.Errorf("%s passes; it was said not to: %s", id, why)
		case result.Skipped:
			t.Logf("%s was skipped: %s", id, one.Desc)
		}
	}
	for _, sub := range group.Groups {
		judge(t, sub)
	}
}
