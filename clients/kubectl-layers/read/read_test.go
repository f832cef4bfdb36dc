package read

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
)

// A server that knows these paths; others are 404. Values that begin with a number are errors of that code.
func client(t *testing.T, answers map[string]string) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if token := r.URL.Query().Get("continue"); token != "" {
			path += "?" + token
		}
		body, known := answers[path]
		code := http.StatusOK
		if !known {
			body = `404 the server could not find the requested resource`
		}
		if _, err := fmt.Sscanf(body, "%d ", &code); err == nil {
			reasons := map[int]string{403: "Forbidden", 404: "NotFound", 500: "InternalError", 503: "ServiceUnavailable"}
			body = fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`,
				body[4:], reasons[code], code)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := ClientFor(&rest.Config{Host: server.URL}, Limits{Concurrency: 4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	image  = "/apis/image.openshift.io/v1"
	layers = "/apis/layers.strata.dev/v1alpha1"
)

func streams(names ...string) string {
	var items []string
	for _, name := range names {
		items = append(items, fmt.Sprintf(`{"metadata":{"namespace":"n","name":%q},"status":{"tags":[{"tag":"t","items":[{"image":"i"}]}]}}`, name))
	}
	return strings.Join(items, ",")
}

func contents(name string) string {
	return fmt.Sprintf(`{"metadata":{"namespace":"n","name":%q},"blobs":{"l":{"size":5}},"images":{"i":{"layers":["l"]}}}`, name)
}

func TestStreamsAreReadByTheWayThatThereIs(t *testing.T) {
	pages := map[string]string{
		image + "/imagestreams":       `{"metadata":{"continue":"2"},"items":[` + streams("a", "b") + `]}`,
		image + "/imagestreams?2":     `{"metadata":{},"items":[` + streams("c") + `]}`,
		layers + "":                   `{}`,
		layers + "/imagestreamlayers": `{"metadata":{},"items":[` + contents("a") + `,` + contents("c") + `]}`,
	}
	each := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		each[image+"/namespaces/n/imagestreams/"+name+"/layers"] = contents(name)
	}
	with := func(more map[string]string) map[string]string {
		all := map[string]string{}
		for _, m := range []map[string]string{pages, each, more} {
			for path, body := range m {
				all[path] = body
			}
		}
		return all
	}
	for _, c := range []struct {
		name    string
		answers map[string]string
		want    string // names, then notes
	}{
		{"listed, but for one that came meanwhile", with(nil), "a c"},
		{"not served", with(map[string]string{layers: "404 no"}),
			"a b c|layers.strata.dev isn't served here; the layers of each stream are asked for"},
		{"no right to the group", with(map[string]string{layers: "403 no"}),
			"a b c|no right to ask layers.strata.dev: no; the layers of each stream are asked for"},
		{"no right to the list", with(map[string]string{layers + "/imagestreamlayers": "403 not this"}),
			"a b c|no right to ask layers.strata.dev: not this; the layers of each stream are asked for"},
		{"its server is away", with(map[string]string{layers: "503 gone"}),
			"a b c|layers.strata.dev doesn't answer: gone; the layers of each stream are asked for"},
		{"some can't be read", with(map[string]string{layers: "404 no", image + "/namespaces/n/imagestreams/a/layers": "403 no",
			image + "/namespaces/n/imagestreams/b/layers": "500 bad"}),
			"c|layers.strata.dev isn't served here; the layers of each stream are asked for|1 stream can't be read by this user|1 stream can't be read by the server"},
		{"one went", with(map[string]string{layers: "404 no", image + "/namespaces/n/imagestreams/b/layers": "404 gone"}),
			"a c|layers.strata.dev isn't served here; the layers of each stream are asked for"},
		{"none may be listed", map[string]string{image + "/imagestreams": "403 nothing for you"}, "nothing for you"},
	} {
		var names, notes []string
		found, err := client(t, c.answers).Streams(context.Background(), Scope{}, func(text string) { notes = append(notes, text) })
		for _, stream := range found {
			names = append(names, stream.Name)
			if len(stream.Tags) != 1 || len(stream.Images["i"].Layers) != 1 {
				t.Errorf("%s: %s is %+v", c.name, stream.Name, stream)
			}
		}
		if err != nil {
			names = append(names, err.Error())
		}
		if got := strings.Join(append([]string{strings.Join(names, " ")}, notes...), "|"); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestOneFailureEndsTheWork(t *testing.T) {
	c := client(t, nil)
	broken := errors.New("broken")
	var begun atomic.Int64
	err := c.Each(context.Background(), "things", 10000, func(ctx context.Context, i int) error {
		begun.Add(1)
		if i == 20 {
			return broken
		}
		if i > 20 {
			<-ctx.Done()
		}
		return nil
	})
	if err != broken || begun.Load() > 9000 {
		t.Errorf("%v after %d", err, begun.Load())
	}
	if err := c.Each(context.Background(), "nothing", 0, nil); err != nil {
		t.Error(err)
	}
}

func TestAStreamMayBeReadWithoutItsTags(t *testing.T) {
	c := client(t, map[string]string{image + "/namespaces/n/imagestreams/a": "403 no",
		image + "/namespaces/n/imagestreams/a/layers": contents("a")})
	if _, err := c.Stream(context.Background(), "n", "a", false); err == nil || err.Error() != "no" {
		t.Error(err)
	}
	stream, err := c.Stream(context.Background(), "n", "a", true)
	if err != nil || len(stream.Images) != 1 {
		t.Errorf("%+v, %v", stream, err)
	}
}
