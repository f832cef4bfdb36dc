package integration

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strata/test/rig"
)

// planted are secrets by what they are. Each is looked for as it is and as base64 has it.
type planted map[string]string

// plant makes one that is found nowhere else.
func (p planted) plant(what string) string {
	p[what] = "planted" + strings.ReplaceAll(what, " ", "") + "x7Q2"
	return p[what]
}

// in names those that stand in a text.
func (p planted) in(text string) []string {
	var found []string
	for what, secret := range p {
		forms := []string{secret}
		// However its bytes lie in the groups of three.
		for shift := range 3 {
			encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", shift) + secret))
			forms = append(forms, encoded[4:len(encoded)-4], strings.NewReplacer("+", "-", "/", "_").Replace(encoded[4:len(encoded)-4]))
		}
		if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(text, form) }) {
			found = append(found, what)
		}
	}
	slices.Sort(found)
	return found
}

// What can't be read is named by its file and its place, and isn't shown.
func TestAStartThatFailsShowsNoSecret(t *testing.T) {
	id := newIdentity(t)
	key, err := os.ReadFile(id.path("serving.key"))
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := func(cluster, user string) string {
		return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: x
clusters: [{name: c, cluster: {%s}}]
users: [{name: u, user: {%s}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
`, cluster, user)
	}
	server := `server: "https://localhost:1"`
	for name, test := range map[string]struct{ flag, content string }{
		"a kubeconfig that isn't closed":           {"--kubeconfig", kubeconfig(server, `token: "%[1]s`)},
		"a kubeconfig with a list for a token":     {"--kubeconfig", kubeconfig(server, `token: [%[1]s]`)},
		"a kubeconfig with an unknown field":       {"--kubeconfig", kubeconfig(server, `tokn: %[1]s, token: 1`)},
		"a kubeconfig whose token is its field":    {"--kubeconfig", kubeconfig(server, `%[1]s: x, token: [1]`)},
		"a kubeconfig with a token and a password": {"--kubeconfig", kubeconfig(server, `token: %[1]s, username: u, password: %[1]s`)},
		"a kubeconfig with a key that is none":     {"--kubeconfig", kubeconfig(server, `client-certificate-data: YQ==, client-key-data: "%[1]s!"`)},
		"a kubeconfig with a plug-in":              {"--kubeconfig", kubeconfig(server, `exec: {command: x, env: [{name: T, value: %[1]s}]}`)},
		"a kubeconfig with a password in a URL":    {"--kubeconfig", kubeconfig(`server: "https://u:%[1]s@localhost:1"`, `token: t`)},
		"a kubeconfig with a password of a proxy":  {"--kubeconfig", kubeconfig(server+`, proxy-url: "ftp://u:%[1]s@localhost:1"`, `token: t`)},
		"a kubeconfig with a token in the server":  {"--kubeconfig", kubeconfig(`server: "%[1]s"`, `token: t`)},
		"a token alone":                            {"--token-auth-file", "%[1]s\n"},
		"a token that isn't closed":                {"--token-auth-file", "\"%[1]s,user,1\n"},
		"a token with a quote in it":               {"--token-auth-file", "%[1]s\"x,user,1\n"},
		"a key that is no key":                     {"--tls-private-key-file", "-----BEGIN PRIVATE KEY-----\n%[1]s\n-----END PRIVATE KEY-----\n"},
		"a key that is cut":                        {"--tls-private-key-file", string(key[:len(key)-60]) + "%[1]s"},
		"a file of flags with a token by mistake":  {"--config", "tokn: %[1]s\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secrets := planted{}
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, fmt.Appendf(nil, test.content, secrets.plant("secret")), 0o600); err != nil {
				t.Fatal(err)
			}
			flags := []string{"--data-dir=" + t.TempDir(), "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", rig.FreePort(t)),
				"--tls-cert-file=" + id.path("serving.crt"), "--tls-private-key-file=" + id.path("serving.key"), test.flag + "=" + file, "-v=9"}
			if test.flag == "--tls-private-key-file" {
				flags = slices.Delete(flags, 4, 5)
			}
			p := rig.Start(t, rig.Strata(t, "strata-apiserver"), flags...)
			select {
			case <-p.Ended():
			case <-time.After(rig.Patience):
				t.Fatal("it starts")
			}
			if found := secrets.in(p.Output()); found != nil || !strings.Contains(p.Output(), "strata-apiserver: ") {
				t.Errorf("it says %s", p.Output())
			}
		})
	}
}
