package kubectl_layers

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	frontendBase = "sha256:505ae181d12197e2ace783242c6152aabc63a22cb78a8a91e4fd7d6e14671818"
	missing      = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
)

// Each is a file of golden/, run in a pipe and in a terminal; the name's first part says which front.
var cases = []struct {
	name string
	args string
}{
	{"all/layers", "nodejs:20"},
	{"all/layers-base", "shop/frontend:v1"},
	{"all/layers-wide", "shop/frontend:v1 -o wide"},
	{"all/layers-json", "shop/frontend:v1 -o json"},
	{"all/layers-name", "shop/frontend:v1 -o name"},
	{"all/layers-digest", "nodejs@1eb4fa5a"},
	{"all/layers-platforms", "shop/multi:v2"},
	{"all/layers-platform", "shop/multi:v2 --platform=linux/arm64"},
	{"all/layers-no-platform", "shop/multi:v2 --platform=linux/s390x"},
	{"all/layers-sorted", "nodejs:20 --no-headers --sort-by={.size}"},
	{"all/layers-no-stream", "nope"},
	{"all/layers-no-tag", "nodejs:v9"},
	{"all/layers-no-image-yet", "tools:edge"},
	{"all/layers-usage", ""},
	{"all/layers-format", "nodejs -o table"},
	{"all/tree", "tree nodejs --history"},
	{"all/tree-layers", "tree shop/multi --layers"},
	{"all/tree-tag", "tree tools:stable"},
	{"all/tree-missing", "tree pruned --history"},
	{"all/tree-yaml", "tree shop/frontend -o yaml"},
	{"all/tree-columns", "tree shop/frontend -o custom-columns=NAME:.metadata.name,OWN:.ownSize"},
	{"all/diff", "diff nodejs:20 shop/frontend:v1"},
	{"all/diff-same", "diff nodejs:20 nodejs:latest"},
	{"all/diff-platforms", "diff shop/multi:v1 shop/multi:v2"},
	{"all/diff-wide", "diff nodejs@1eb4fa5a nodejs:20 -o wide"},
	{"all/diff-no-stream", "diff nodejs nope"},
	{"all/diff-usage", "diff nodejs"},
	{"all/who", "who " + frontendBase},
	{"all/who-part", "who 505ae181d121 -A"},
	{"all/who-jsonpath", "who " + frontendBase + " -o jsonpath={.items[*].metadata.name}"},
	{"all/who-nobody", "who " + missing},
	{"all/top-namespace", "top -A --by=namespace"},
	{"all/top-stream", "top -A"},
	{"all/top-image", "top --by=image"},
	{"all/top-selector", "top -l a=b"},
	{"all/top-by", "top --by=pod"},
	{"all/pods", "pods --base=nodejs:20 -A"},
	{"all/pods-namespace", "pods --base=demo/nodejs:20 -n shop --no-headers"},
	{"all/pods-none", "pods --base=tools:stable"},
	{"all/pods-usage", "pods"},
	{"all/compare-usage", "compare"},
	{"all/complete-streams", "__complete tree shop/"},
	{"all/complete-tags", "__complete nodejs:"},
	{"all/complete-context", "__complete top --context "},
	{"all/version", "--version"},

	// layers.strata.dev isn't served.
	{"none/layers-base", "shop/frontend:v1"},
	{"none/who", "who " + frontendBase + " -A"},
	{"none/top-namespace", "top -A --by=namespace"},
	{"none/pods", "pods --base=nodejs:20 -A"},
	// It is, but not to this user.
	{"forbidden/layers-base", "shop/frontend:v1"},
	{"forbidden/top-stream", "top -A"},
	// Its server is away.
	{"away/layers-base", "shop/frontend:v1"},
	{"away/who", "who " + frontendBase},

	// Without rights.
	{"all/nobody", "nodejs --context=nobody"},
	{"all/nobody-who", "who " + frontendBase + " --context=nobody"},
	{"all/nobody-top", "top -A --context=nobody"},
	{"all/puller-digest", "nodejs@1eb4fa5a --context=puller"},
	// A dead server.
	{"dead/layers", "nodejs"},
	{"dead/diff", "diff nodejs nodejs"},
	{"dead/top", "top -A"},
}

func TestEveryCommandPrintsWhatItDid(t *testing.T) {
	s := startServer(t, store(t, "../../deploy/samples", "records.yaml"))
	fronts := s.fronts()
	for _, c := range cases {
		front, _, _ := strings.Cut(c.name, "/")
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(c.args)
			if strings.HasSuffix(c.args, " ") {
				args = append(args, "")
			}
			pipe := inPipe(t, fronts[front], args...)
			terminal := inTerminal(t, fronts[front], args...)
			compareGolden(t, c.name, fmt.Sprintf("$ kubectl layers %s\n%s--- stderr\n%s--- exit code %d\n--- in a terminal\n%s"+
				"--- exit code %d\n", c.args, pipe.stdout, pipe.stderr, pipe.code, visible(terminal.stdout), terminal.code))
		})
	}
}

// visible shows escapes.
func visible(text string) string { return strings.ReplaceAll(text, "\x1b", "␛") }

// What differs from run to run, and from build to build.
var (
	port    = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	version = regexp.MustCompile(`version \S+`)
)

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	got = version.ReplaceAllString(port.ReplaceAllString(got, "127.0.0.1:PORT"), "version VERSION")
	path := filepath.Join("golden", strings.ReplaceAll(name, "/", "-")+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// fronts are kubeconfigs by what is in the way.
func (s *server) fronts() map[string]string {
	pods, err := os.ReadFile("pods.json")
	s.check(err)
	front := func(name string, layers answer) string {
		return s.front(name, func(path string) answer {
			switch {
			case strings.HasPrefix(path, "/apis/layers.strata.dev"):
				return layers
			case strings.HasSuffix(path, "/shop/pods") || path == "/api/v1/pods":
				return answer{200, string(pods)}
			case strings.HasSuffix(path, "/pods"):
				return answer{200, `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}`}
			}
			return answer{}
		}, nil)
	}
	dead := front("dead", answer{})
	text, err := os.ReadFile(dead)
	s.check(err)
	s.check(os.WriteFile(dead, port.ReplaceAll(text, []byte("127.0.0.1:1")), 0o600))
	return map[string]string{
		"all":       front("all", answer{}),
		"none":      front("none", status(404, "NotFound", "the server could not find the requested resource")),
		"forbidden": front("forbidden", status(403, "Forbidden", `imagestreamlayers.layers.strata.dev is forbidden: User "dev" cannot list resource "imagestreamlayers" in API group "layers.strata.dev"`)),
		"away":      front("away", status(503, "ServiceUnavailable", "service unavailable")),
		"dead":      dead,
	}
}
