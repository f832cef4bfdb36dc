package cluster

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"strata/test/rig"
)

// A registry stands for openshift/image-registry where it asks the API: the same calls by the same identities, JSON over
// HTTP/2, its rate, a client made anew for each request of a user's (pkg/dockerregistry/server/client).
type registry struct {
	t      *testing.T
	config *rest.Config
	own    *kubernetes.Clientset

	mu    sync.Mutex
	tries []try
}

// A try is one request for layers, on the wire.
type try struct {
	began time.Time
	took  time.Duration
}

func newRegistry(t *testing.T, kubeconfig string) *registry {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 100, 200
	config.UserAgent = "dockerregistry/v0.0.0 (linux/amd64) kubernetes/$Format"
	r := &registry{t: t, config: config}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return timed{r, next} })
	r.own = kubernetes.NewForConfigOrDie(config)
	return r
}

type timed struct {
	r    *registry
	next http.RoundTripper
}

func (w timed) RoundTrip(request *http.Request) (*http.Response, error) {
	began := time.Now()
	response, err := w.next.RoundTrip(request)
	if strings.HasSuffix(request.URL.Path, "/layers") {
		w.r.mu.Lock()
		w.r.tries = append(w.r.tries, try{began, time.Since(began)})
		w.r.mu.Unlock()
	}
	return response, err
}

// as is ClientFromToken: the same server, none of the registry's credentials; "" is nobody.
func (r *registry) as(token string) *kubernetes.Clientset {
	config := rest.AnonymousClientConfig(r.config)
	config.UserAgent = r.config.UserAgent
	config.BearerToken = token
	config.WrapTransport = r.config.WrapTransport
	return kubernetes.NewForConfigOrDie(config)
}

type reply struct {
	code int
	body string
	err  error
}

func ask(client *kubernetes.Clientset, verb, path, body string) reply {
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	request := client.CoreV1().RESTClient().Verb(verb).RequestURI(path)
	if body != "" {
		request = request.Body([]byte(body)).SetHeader("Content-Type", "application/json")
	}
	var a reply
	result := request.Do(ctx).StatusCode(&a.code)
	raw, err := result.Raw()
	a.body = string(raw)
	if status, ok := err.(apierrors.APIStatus); ok { // It doesn't tell the code of what isn't an object.
		a.code = int(status.Status().Code)
	} else {
		a.err = err
	}
	return a
}

const (
	reviews   = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	mayI      = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
	mayHe     = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
	images    = "/apis/image.openshift.io/v1/images"
	inDemo    = "/apis/image.openshift.io/v1/namespaces/demo/"
	layersGet = `"resourceAttributes":{"namespace":"demo","group":"image.openshift.io","resource":"imagestreams",` +
		`"subresource":"layers","verb":"get"}`
)

// registryCalls are those that the registry makes, each by who makes it: "" is a user without a token.
var registryCalls = []struct{ name, user, verb, path, body string }{
	{"who is it", "puller", "POST", reviews,
		`{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1","metadata":{}}`},
	{"may he pull", "puller", "POST", mayI,
		`{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","spec":{` + layersGet + `}}`},
	{"layers", "registry", "GET", inDemo + "imagestreams/app/layers", ""},
	{"stream", "registry", "GET", inDemo + "imagestreams/app", ""},
	{"image", "registry", "GET", images + "/" + rig.Digest(1), ""},
	{"may nobody pull", "", "POST", mayI,
		`{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","spec":{` + layersGet + `}}`},
	{"may anonymous pull", "registry", "POST", mayHe,
		`{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","spec":{"user":"system:anonymous",` +
			layersGet + `}}`},
	{"layers of no stream", "registry", "GET", inDemo + "imagestreams/nope/layers", ""},
	{"secrets", "registry", "GET", inDemo + "imagestreams/app/secrets", ""},
	{"push an image", "registry", "POST", images, `{"kind":"Image","apiVersion":"image.openshift.io/v1","metadata":{` +
		`"name":"` + rig.Digest(9) + `"},"dockerImageManifest":"` + strings.Repeat("m", 2<<20) + `"}`},
	{"map it", "registry", "POST", inDemo + "imagestreammappings",
		`{"kind":"ImageStreamMapping","apiVersion":"image.openshift.io/v1","metadata":{"name":"app"},"tag":"new"}`},
	{"make a stream", "puller", "POST", inDemo + "imagestreams",
		`{"kind":"ImageStream","apiVersion":"image.openshift.io/v1","metadata":{"name":"new"}}`},
	{"catalog", "puller", "GET", "/apis/image.openshift.io/v1/imagestreams?limit=100", ""},
	{"catalog of all", "admin", "GET", "/apis/image.openshift.io/v1/imagestreams?limit=100", ""},
	{"sign", "puller", "POST", "/apis/image.openshift.io/v1/imagesignatures",
		`{"kind":"ImageSignature","apiVersion":"image.openshift.io/v1","metadata":{"name":"a@b"}}`},
	{"an image of a stream", "registry", "GET", inDemo + "imagestreamimages/app@" + rig.Digest(1), ""},
	{"limits", "registry", "GET", "/api/v1/namespaces/demo/limitranges", ""},
	{"policies", "registry", "GET", "/apis/operator.openshift.io/v1alpha1/imagecontentsourcepolicies", ""},
	{"mirrors", "registry", "GET", "/apis/config.openshift.io/v1/imagedigestmirrorsets", ""},
	{"a token of nobody's", "wrong", "POST", reviews,
		`{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1","metadata":{}}`},
}

const callsOfAPull = 5 // the first ones

func (r *registry) call(i int) reply {
	call := registryCalls[i]
	client := r.own
	if call.user == "" {
		client = r.as("")
	} else if call.user != "registry" {
		client = r.as(call.user + "token")
	}
	return ask(client, call.verb, call.path, call.body)
}

// every is all calls once.
func (r *registry) every() []reply {
	answers := make([]reply, len(registryCalls))
	for i := range registryCalls {
		answers[i] = r.call(i)
	}
	return answers
}

// differs says how an answer isn't the one that is expected. Other bodies than those of the group's objects have times
// and revisions.
func differs(i int, got, want reply) string {
	switch call := registryCalls[i]; {
	case got.err != nil:
		return fmt.Sprintf("%s: %v", call.name, got.err)
	case got.code != want.code:
		return fmt.Sprintf("%s: %d %.200s instead of %d", call.name, got.code, got.body, want.code)
	case strings.HasPrefix(call.path, inDemo) && got.body != want.body:
		return fmt.Sprintf("%s: %.300s instead of %.300s", call.name, got.body, want.body)
	}
	return ""
}

// A load pulls and now and then does all else, until it ends. Each answer must be the one without a front.
type load struct {
	registries []*registry
	stop       context.CancelFunc
	wait       sync.WaitGroup

	mu       sync.Mutex
	answered int
	failures []string
}

func startLoad(t *testing.T, kubeconfig string, want []reply) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stop: cancel}
	t.Cleanup(func() { // Before its files go.
		cancel()
		l.wait.Wait()
	})
	for range 2 {
		r := newRegistry(t, kubeconfig)
		l.registries = append(l.registries, r)
		for puller := range 4 {
			l.wait.Add(1)
			go func() {
				defer l.wait.Done()
				for round := puller; ctx.Err() == nil; round++ {
					for i := range callsOfAPull {
						l.check(i, r.call(i), want[i])
					}
					i := callsOfAPull + round%(len(registryCalls)-callsOfAPull)
					l.check(i, r.call(i), want[i])
				}
			}()
		}
	}
	return l
}

func (l *load) check(i int, got, want reply) {
	wrong := differs(i, got, want)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered++
	if wrong != "" {
		l.failures = append(l.failures, time.Now().Format("05.000 ")+wrong)
	}
}

// end stops it; nothing may have failed.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.wait.Wait()
	t.Logf("%d of %d calls failed", len(l.failures), l.answered)
	for _, failure := range l.failures[:min(len(l.failures), 10)] {
		t.Error(failure)
	}
	if l.answered < 500 {
		t.Errorf("only %d calls", l.answered)
	}
}

// since tells of requests for layers that began after that: how many, and how long half, all but 1 % and the longest took.
func (l *load) since(began time.Time) string {
	var took []time.Duration
	for _, r := range l.registries {
		r.mu.Lock()
		for _, it := range r.tries {
			if !it.began.Before(began) {
				took = append(took, it.took)
			}
		}
		r.mu.Unlock()
	}
	if len(took) == 0 {
		return "no layers"
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	return fmt.Sprintf("%d layers, p50 %.1f ms, p99 %.1f ms, max %.0f ms", len(took), milliseconds(took[len(took)/2]),
		milliseconds(took[len(took)*99/100]), milliseconds(took[len(took)-1]))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// lines of a log that have all these words.
func lines(log []byte, words ...string) int {
	n := 0
	for _, line := range bytes.Split(log, []byte("\n")) {
		all := true
		for _, word := range words {
			all = all && bytes.Contains(line, []byte(word))
		}
		if all {
			n++
		}
	}
	return n
}
