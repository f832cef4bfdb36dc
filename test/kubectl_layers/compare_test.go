package kubectl_layers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"strata/test/rig"
)

const tenThousand = 10000

// writeStreams makes a file of `count` image streams, each of an image of its own and one that many have.
func writeStreams(t *testing.T, path string, count int) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	digest := func(kind, n int) string { return rig.Digest(kind<<32 + n) }
	image := func(name string, layers ...string) string {
		var list []string
		for i, layer := range layers {
			list = append(list, fmt.Sprintf(`{"name":%q,"size":%d,"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip"}`, layer,
				1000+i))
		}
		return fmt.Sprintf(`{"apiVersion":"image.openshift.io/v1","kind":"Image","metadata":{"name":%q,"annotations":{"image.openshift.io/dockerLayersOrder":"ascending"}},"dockerImageManifestMediaType":"application/vnd.oci.image.manifest.v1+json","dockerImageLayers":[%s]}`,
			name, strings.Join(list, ","))
	}
	fmt.Fprint(out, `{"apiVersion":"v1","kind":"List","items":[`)
	for i := range 10 {
		fmt.Fprintln(out, image(digest(1, i), digest(2, 0), digest(2, i+1))+",")
	}
	for i := range count {
		fmt.Fprintln(out, image(digest(3, i), digest(2, 0), digest(2, i%10+1), digest(4, i))+",")
		var items []string
		for _, name := range []string{digest(3, i), digest(1, i%10)} {
			items = append(items, fmt.Sprintf(`{"created":"2026-01-01T00:00:00Z","dockerImageReference":"r/x@%s","image":%q}`, name, name))
		}
		fmt.Fprintf(out, `{"apiVersion":"image.openshift.io/v1","kind":"ImageStream","metadata":{"namespace":"ns-%d","name":"app-%d","labels":{"tenth":"%v"}},"status":{"tags":[{"tag":"latest","items":[%s]}]}}`,
			i%50, i, i%10 == 0, strings.Join(items, ","))
		if i < count-1 {
			fmt.Fprintln(out, ",")
		}
	}
	fmt.Fprintln(out, "]}")
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
}

// The proof that an operator asks for: all is equal, and where it isn't, one byte is found and shown.
func TestTenThousandStreamsAreCompared(t *testing.T) {
	records := t.TempDir() + "/records.json"
	writeStreams(t, records, tenThousand)
	loaded := store(t, records)
	first, second := startServer(t, loaded), startServer(t, loaded)
	a, b := first.direct(), second.direct()

	began := time.Now()
	same := inPipe(t, a, "compare", "-A", "--with-kubeconfig="+b, "--qps=0", "--concurrency=32")
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	} else {
		t.Logf("%d streams in %v", tenThousand, took)
	}
	if want := "10000 streams compared: 10000 equal, 0 different on purpose, 0 different\n"; same.code != 0 || same.stdout != want {
		t.Errorf("exit code %d\n%s%s", same.code, same.stdout, same.stderr)
	}

	planted := second.front("planted", nothing, func(path string, body []byte) []byte {
		if strings.HasSuffix(path, "/imagestreams/app-4321/layers") {
			return bytes.Replace(body, []byte(`"size":1002`), []byte(`"size":1003`), 1)
		}
		return body
	})
	found := inPipe(t, a, "compare", "-n", "ns-21", "--with-kubeconfig="+planted, "--retries=1")
	compareGolden(t, "compare/planted", fmt.Sprintf("%s--- exit code %d\n", found.stdout, found.code))

	chosen := inPipe(t, a, "compare", "-A", "-l", "tenth=true", "--with-kubeconfig="+planted, "--qps=0")
	if want := "1000 streams compared: 1000 equal, 0 different on purpose, 0 different\n"; chosen.code != 0 || chosen.stdout != want {
		t.Errorf("exit code %d\n%s%s", chosen.code, chosen.stdout, chosen.stderr)
	}
}

func TestDifferencesAreToldApart(t *testing.T) {
	s := startServer(t, store(t, "../../deploy/samples", "records.yaml"))
	a := s.front("first", nothing, nil)
	compare := func(name, with string, args ...string) {
		t.Run(name, func(t *testing.T) {
			got := inPipe(t, a, append([]string{"compare", "-A", "--retries=0", "--with-kubeconfig=" + with}, args...)...)
			stderr := got.stderr[:strings.LastIndex(strings.TrimSuffix("\n"+got.stderr, "\n"), "\n")]
			if args == nil {
				args = []string{""}
			}
			compareGolden(t, "compare/"+name, fmt.Sprintf("%s--- stderr\n%s--- exit code %d\n", got.stdout, stderr, got.code))
		})
	}
	// The second server has no list of streams, one stream less, and errors.
	other := s.front("other", func(path string) answer {
		switch {
		case strings.HasSuffix(path, "/imagestreams"):
			return status(404, "NotFound", "the server could not find the requested resource")
		case strings.HasSuffix(path, "/imagestreams/nodejs/layers"):
			return status(404, "NotFound", `imagestreams.image.openshift.io "nodejs" not found`)
		}
		return answer{}
	}, nil)
	compare("absent", other)
	compare("absent-json", other, "-o", "json")

	// It takes another image's word about a blob; nobody's word.
	word := s.front("word", nothing, func(path string, body []byte) []byte {
		if strings.HasSuffix(path, "/frontend/layers") {
			return bytes.Replace(body, []byte(`"size":5120777`), []byte(`"size":5120778`), 1)
		}
		return body
	})
	compare("word", word)
	disagreed := s.front("disagreed", nothing, func(path string, body []byte) []byte {
		if strings.HasSuffix(path, "/disagree/layers") {
			return bytes.Replace(body, []byte(`"size":100`), []byte(`"size":200`), 1)
		}
		return body
	})
	compare("disagreed", disagreed)
	compare("disagreed-shown", disagreed, "--show-expected")
	// The first server has streams that change at each look.
	looks := 0
	changing := s.front("changing", nothing, func(path string, body []byte) []byte {
		if strings.HasSuffix(path, "/frontend/layers") {
			looks++
			return bytes.Replace(body, []byte(`"resourceVersion":"`), []byte(fmt.Sprintf(`"resourceVersion":"%d`, looks)), 1)
		}
		return body
	})
	got := inPipe(t, changing, "compare", "-A", "--retries=1", "--with-kubeconfig="+a)
	if got.code != 1 || !strings.Contains(got.stdout, "shop/frontend  changes all the time") ||
		!strings.Contains(got.stdout, "7 equal, 0 different on purpose, 0 different, 1 not comparable") {
		t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	ignoring := inPipe(t, a, "compare", "-A", "--retries=0", "--with-kubeconfig="+changing, "--ignore-metadata=resourceVersion")
	if ignoring.code != 0 {
		t.Errorf("exit code %d\n%s%s", ignoring.code, ignoring.stdout, ignoring.stderr)
	}
	dead := s.fronts()["dead"]
	if got := inPipe(t, a, "compare", "-A", "--with-kubeconfig="+dead); got.code != 2 || !strings.Contains(got.stderr, "refused") {
		t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

func TestSecondServersAreNamedInEachWay(t *testing.T) {
	s := startServer(t, store(t, "../../deploy/samples"))
	a := s.front("first", nothing, nil)
	text, err := os.ReadFile(a)
	s.check(err)
	url := strings.SplitN(strings.SplitN(string(text), `server: "`, 2)[1], `"`, 2)[0]
	for _, with := range [][]string{
		{"--with-context=admin"}, {"--with-kubeconfig=" + a}, {"--with-kubeconfig=" + a, "--with-context=admin"},
		{"--with-server=" + url}, {"--with-server=" + url, "--with-certificate-authority=" + s.path("first.crt")},
		{"--with-server=" + url + "/", "--with-insecure-skip-tls-verify"},
	} {
		got := inPipe(t, a, append([]string{"compare", "-A", "-o", "json"}, with...)...)
		var list struct{ Items []any }
		if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || got.code != 0 || len(list.Items) != 0 {
			t.Errorf("%v: exit code %d\n%s%s", with, got.code, got.stdout, got.stderr)
		}
	}
	if got := inPipe(t, a, "compare", "--with-context=nobody", "-A", "--retries=0"); got.code != 1 || !strings.Contains(got.stdout, "403") {
		t.Errorf("without rights: exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}
