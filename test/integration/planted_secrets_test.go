package integration

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"strata/test/rig"
)

// planted are secrets by what they are. Each is looked for as it is and as base64 has it.
type planted map[string]string

// plant makes one that is found nowhere else.
func (p planted) plant(what string) string {
	p[what] = "planted" + strings.ReplaceAll(what, " ", "") + "x7Q2"
	return p[what]
}

// plantKey looks for a line of a PEM block, of its middle.
func (p planted) plantKey(what string, pem []byte) {
	p[what] = strings.Split(string(pem), "\n")[1][10:50]
}

// plantKeyOf is plantKey of a file.
func (p planted) plantKeyOf(t *testing.T, what, file string) {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p.plantKey(what, pem)
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

// secretsOfKube is a kube-apiserver that knows one token, refuses the others, echoes what it is asked where the token
// says so, and has secrets.
func secretsOfKube(t *testing.T, secrets planted, known, echoed string) http.HandlerFunc {
	list := &corev1.SecretList{Items: []corev1.Secret{
		{ObjectMeta: metav1.ObjectMeta{Name: "pull", Namespace: "demo"}, Type: corev1.SecretTypeDockerConfigJson,
			Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"r":{"auth":"` + secrets.plant("a secret's content") + `"}}}`)}},
		{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: "demo"}, Type: corev1.SecretTypeOpaque,
			Data: map[string][]byte{"key": []byte(secrets.plant("a secret of another type"))}},
	}}
	raw, err := list.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := (&runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "SecretList"}, Raw: raw}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.HasSuffix(r.URL.Path, "/namespaces/demo/secrets"):
			w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
			_, _ = w.Write(append([]byte("k8s\x00"), whole...))
		case strings.HasSuffix(r.URL.Path, "/namespaces/broken/secrets"):
			w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
			_, _ = w.Write(append([]byte("k8s\x00"), whole[:len(whole)-1]...))
		case bytes.Contains(body, []byte(echoed)):
			http.Error(w, string(body)+r.Header.Get("Authorization"), http.StatusInternalServerError)
		case strings.HasSuffix(r.URL.Path, "/tokenreviews"):
			status := `{"error":"no"}`
			if bytes.Contains(body, []byte(known)) {
				status = `{"authenticated":true,"user":{"username":"kate","groups":["devs"]}}`
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":`+status+`}`)
		case strings.HasSuffix(r.URL.Path, "/subjectaccessreviews"): // the roles of the file decide
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":false}}`)
		default:
			http.NotFound(w, r)
		}
	}
}

// raw sends bytes over a connection of its own, with a certificate even of somebody who isn't asked for one, and is what
// comes back.
func raw(url, protocol string, certificates []tls.Certificate, text string) string {
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}
	if certificates != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificates[0], nil }
	}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), config)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(rig.Patience))
	if _, err := io.WriteString(conn, text); err != nil {
		return err.Error()
	}
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// Whatever is asked, and however wrongly: what the server is told in confidence stands in nothing that it writes, in
// answers to others, in a core file least of all.
func TestWhatIsSecretIsWrittenNowhere(t *testing.T) {
	letCoresBeMade(t)
	secrets := planted{}
	id := newIdentity(t)
	etcds := rig.NewCA(t, "etcds")
	store := startTLS(t, etcds, etcds, rig.Strata(t, "strata-storage"), "serve", "-v=9")
	store.put(t, etcds, etcds)
	secrets.plantKeyOf(t, "the store's key", store.path("etcd.key"))
	etcdFlags := credentials(t, etcds)
	secrets.plantKeyOf(t, "the key for the store", strings.TrimPrefix(etcdFlags[2], "--etcd-keyfile="))
	id.write(t, "password", []byte(secrets.plant("the password for the store")+"\n"))
	kube := newHostileKube(t, id)
	known, echoed := secrets.plant("a token of a service account"), secrets.plant("a token that is echoed")
	kube.Config.Handler = secretsOfKube(t, secrets, known, echoed)
	id.write(t, "tokens.csv", []byte(adminToken+",admin,1,system:masters\n"+secrets.plant("a token of the file")+",puller,2,devs\n"+
		secrets.plant("the token for a source")+",strata,3,system:masters\n"))
	kubeconfig, err := os.ReadFile(id.path("kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	id.write(t, "kubeconfig", bytes.Replace(kubeconfig, []byte("token: t"), []byte("token: "+secrets.plant("the token of a kubeconfig")), 1))
	ca := rig.NewCA(t, "clients")
	certificate, key := ca.Client(t, "carl", "devs")
	secrets.plantKey("a client's key", key)
	ownCertificate, ownKey := ca.Client(t, "strata")
	secrets.plantKey("a key in a kubeconfig", ownKey)
	id.write(t, "secrets.kubeconfig", bytes.Replace(kubeconfig, []byte("token: t"), fmt.Appendf(nil,
		"username: u, password: %s, client-certificate-data: %s, client-key-data: %s", secrets.plant("the password of a kubeconfig"),
		base64.StdEncoding.EncodeToString(ownCertificate), base64.StdEncoding.EncodeToString(ownKey)), 1))
	secrets.plantKeyOf(t, "the serving key", id.path("serving.key"))
	id.write(t, "clients.crt", ca.PEM)
	id.write(t, "policy.yaml", []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n"))
	s := startServerAs(t, id, append(etcdFlags, "--etcd-servers="+store.url, "--etcd-username=strata",
		"--etcd-password-file="+id.path("password"), "--rbac-file="+id.path("rbac.yaml"), "--kubeconfig="+id.path("kubeconfig"),
		"--authentication-skip-lookup=true", "--authorization-mode=Webhook,RBAC", "--client-ca-file="+id.path("clients.crt"),
		"--enable-secrets", "--secrets-kubeconfig="+id.path("secrets.kubeconfig"),
		"--audit-policy-file="+id.path("policy.yaml"), "--audit-log-path="+id.path("audit.log"), "-v=9")...)
	follower := newIdentity(t)
	follower.ca = append(follower.ca, id.ca...)
	f := startServerAs(t, follower, "--source=kube", "-v=9",
		"--source-kubeconfig="+follower.kubeconfigFor(t, s.url, secrets["the token for a source"]))
	f.layers(t, "demo", "web")

	var answers strings.Builder // but those that tell what is asked for
	// What shows that the log and the audit log tell of a request at all.
	const agent = "plantedagent"
	request := func(method, path, body string, headers ...string) int {
		t.Helper()
		r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", agent)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		response, err := s.http.Do(r)
		if err != nil {
			fmt.Fprintln(&answers, err)
			return 0
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		if !strings.HasSuffix(path, "/secrets") || response.StatusCode != http.StatusOK {
			fmt.Fprintln(&answers, response.Header, string(text))
		}
		return response.StatusCode
	}
	layers, pullSecrets := rig.LayersPath("demo", "web"), "/apis/image.openshift.io/v1/namespaces/demo/imagestreams/web/secrets"
	for _, test := range []struct {
		code                int
		method, path, token string
	}{
		{200, "GET", layers, adminToken},
		{200, "GET", layers, secrets["a token of the file"]},
		{403, "GET", rig.LayersPath("other", "app"), secrets["a token of the file"]},
		{403, "GET", layers, known},
		{401, "GET", layers, secrets.plant("a token that nobody knows")},
		{401, "GET", layers, "eyJhbGciOiJSUzI1NiJ9." + secrets.plant("a token that is no JWT") + ".x"},
		{401, "GET", layers, echoed},
		{404, "GET", "/apis/image.openshift.io/v1/namespaces/demo/imagestreams/none/layers", adminToken},
		{404, "GET", "/apis/nothing.here/v1/things", adminToken},
		{405, "POST", layers, adminToken},
		{200, "GET", pullSecrets, adminToken},
		{403, "GET", pullSecrets, secrets["a token of the file"]},
		{500, "GET", strings.Replace(pullSecrets, "demo", "broken", 1), adminToken},
	} {
		body := ""
		if test.method == "POST" {
			body = `{"kind":"Secret","data":{"x":"` + secrets.plant("a body") + `"}}`
		}
		if code := request(test.method, test.path, body, "Authorization", "Bearer "+test.token); code != test.code {
			t.Errorf("%s %s as %s: %d, want %d", test.method, test.path, test.token, code, test.code)
		}
	}
	request("GET", layers, "", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:"+secrets.plant("a password"))))
	request("GET", layers, "", "Cookie", "session="+secrets.plant("a cookie"), "Proxy-Authorization", "Bearer "+secrets.plant("a proxy's token"),
		"X-Access-Token", secrets.plant("a token of another header"))
	request("GET", layers, "", "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Protocol", "base64url.bearer.authorization.k8s.io."+base64.RawURLEncoding.EncodeToString([]byte(secrets.plant("a websocket's token"))))
	request("GET", layers+"?pretty=true&access_token="+secrets.plant("a token of the query"), "")
	request("GET", layers+"?access_token="+secrets.plant("a token of a good request's query"), "", "Authorization", "Bearer "+adminToken)
	request("GET", layers+"?access%5Ftoken="+secrets.plant("a token of a query that is escaped"), "")
	request("GET", layers, "", "Impersonate-User", "kate", "Authorization", "Bearer "+secrets["a token of the file"])
	request("GET", layers+strings.Repeat("/x", 40<<10), "", "Authorization", "Bearer "+secrets.plant("a token before a huge URL"))

	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	strange, strangeKey := rig.NewCA(t, "strangers").Client(t, "eve")
	secrets.plantKey("a stranger's key", strangeKey)
	stranger, err := tls.X509KeyPair(strange, strangeKey)
	if err != nil {
		t.Fatal(err)
	}
	head := "GET " + layers + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	for what, text := range map[string]string{
		"a token behind a space":        head + "Authorization : Bearer %s\r\n\r\n",
		"a token of a folded line":      head + "Authorization: Bearer\r\n %s\r\n\r\n",
		"a token with a NUL":            head + "Authorization: Bearer %s\x00\r\n\r\n",
		"a token in two words":          head + "Authorization: Bearer a %s\r\n\r\n",
		"a token of two headers":        head + "Authorization: Bearer a\r\nAuthorization: Bearer %s\r\n\r\n",
		"a token without a scheme":      head + "Authorization: %s\r\n\r\n",
		"a token of a name":             head + "%s: x y\r\n\r\n",
		"a token in a broken line":      head + "%s\r\n\r\n",
		"a token in a version":          "GET / HTTP/%s\r\n\r\n",
		"a token in a huge header":      head + "Authorization: Bearer %s" + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"a token and a length too many": head + "Authorization: Bearer %s\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"a token in a chunk":            "POST " + layers + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
	} {
		for _, certificates := range [][]tls.Certificate{nil, {pair}, {stranger}} {
			answers.WriteString(raw(s.url, "http/1.1", certificates, fmt.Sprintf(text, secrets.plant(what))))
		}
	}
	answers.WriteString(raw(store.url, "h2", []tls.Certificate{stranger}, head+secrets.plant("a token for the store")+"\r\n\r\n"))
	plain, err := http.Get("http" + strings.TrimPrefix(s.url, "https") + "/?access_token=" + secrets.plant("a token without TLS"))
	if err == nil {
		_, _ = io.Copy(&answers, plain.Body)
		plain.Body.Close()
	}

	_, metrics := s.get("/metrics", adminToken)
	store.Stop(syscall.SIGTERM) // all that it has to say is written then
	store.Launch()
	store.put(t, etcds, etcds)
	s.Signal(syscall.SIGABRT)
	rig.Eventually(t, "who follows it is told", func() error {
		code, body := f.get(layers, adminToken)
		fmt.Fprintln(&answers, body)
		if code != 504 {
			return fmt.Errorf("%d", code)
		}
		return nil
	})
	for _, process := range []*rig.Process{s.Process, store.Process, f.Process} {
		process.Signal(syscall.SIGABRT)
		<-process.Ended()
	}
	rig.Contains(t, store.Output(), "A client was refused")
	audit, err := os.ReadFile(id.path("audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{"the log": s.Output(), "the audit log": string(audit),
		"the store's log": store.Output(), "the log of who follows": f.Output(), "metrics": metrics, "answers": answers.String()} {
		if found := secrets.in(text); found != nil {
			t.Errorf("%s: %q", where, found)
		}
		if strings.HasSuffix(where, "the log") || where == "the audit log" {
			if !strings.Contains(text, agent) {
				t.Errorf("%s doesn't tell of requests", where)
			}
		}
	}
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

// letCoresBeMade lifts the limit for what the test starts, and looks for cores in the end.
func letCoresBeMade(t *testing.T) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: before.Max, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &before)
		if cores, _ := filepath.Glob("core*"); cores != nil {
			t.Errorf("cores were made: %q", cores)
		}
	})
}
