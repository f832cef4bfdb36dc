package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

func send(t *testing.T, handler http.Handler, method, body string) (int, providerResponse) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(method, "/decide", strings.NewReader(body)))
	var response providerResponse
	if err := json.Unmarshal(recorder.Body.Bytes(), &response); err != nil {
		t.Fatalf("%v: %s", err, recorder.Body)
	}
	if response.APIVersion != providerVersion || response.Kind != "ProviderResponse" || !response.Response.Idempotent {
		t.Errorf("not the protocol's: %s", recorder.Body)
	}
	return recorder.Code, response
}

func asking(keys ...string) string {
	text, _ := json.Marshal(map[string]any{"apiVersion": providerVersion, "kind": "ProviderRequest",
		"request": map[string]any{"keys": keys}})
	return string(text)
}

func TestKeysAreAnsweredAsTheRulesDecide(t *testing.T) {
	rules, _ := testRules(t)
	app := testRegistry + "/shop/app@"
	for name, test := range map[string]struct {
		keys   []string
		items  []providerItem
		system string
	}{
		"no keys": {},
		"allowed, denied and not looked at": {
			keys: []string{app + digest("1"), app + digest("2"), "elsewhere/a:b", digest("3")},
			items: []providerItem{
				{Key: app + digest("1"), Value: &providerValue{Allowed: true, Known: true}},
				{Key: app + digest("2"), Value: &providerValue{Known: true, DeniedLayer: digest("d")}},
				{Key: "elsewhere/a:b", Value: &providerValue{Allowed: true}},
				{Key: digest("3"), Value: &providerValue{Known: true, DeniedLayer: digest("d")}},
			}},
		"twice the same": {
			keys:  []string{digest("1"), digest("1")},
			items: []providerItem{{Key: digest("1"), Value: &providerValue{Allowed: true, Known: true}}}},
		"what nobody can tell is the key's error": {
			keys:  []string{app + digest("4")},
			items: []providerItem{{Key: app + digest("4"), Error: errUnknowable.Error()}}},
		"what may be told later is nobody's item": {
			keys:   []string{testRegistry + "/shop/broken@" + digest("1"), digest("1")},
			items:  []providerItem{{Key: digest("1"), Value: &providerValue{Allowed: true, Known: true}}},
			system: testRegistry + "/shop/broken@" + digest("1") + ": "},
	} {
		t.Run(name, func(t *testing.T) {
			code, got := send(t, newProvider(rules, 4, 1, time.Minute), http.MethodPost, asking(test.keys...))
			if code != http.StatusOK || !reflect.DeepEqual(got.Response.Items, test.items) {
				t.Errorf("got %d %+v", code, got.Response)
			}
			if !strings.HasPrefix(got.Response.SystemError, test.system) || (test.system == "") != (got.Response.SystemError == "") {
				t.Errorf("system error %q, want %q", got.Response.SystemError, test.system)
			}
		})
	}
}

func TestRequestsThatAreNoneAreSystemErrors(t *testing.T) {
	rules, cluster := testRules(t)
	for name, test := range map[string]struct {
		method, body string
		code         int
		want         string
	}{
		"not a POST":       {http.MethodGet, asking(), http.StatusMethodNotAllowed, "only POST"},
		"no JSON":          {http.MethodPost, "{", http.StatusBadRequest, "unexpected end"},
		"keys of a number": {http.MethodPost, `{"request": {"keys": [1]}}`, http.StatusBadRequest, "cannot unmarshal"},
		"another version": {http.MethodPost, strings.Replace(asking(), "v1beta1", "v2", 1), http.StatusBadRequest,
			"only externaldata.gatekeeper.sh/v1beta1"},
		"another kind": {http.MethodPost, strings.Replace(asking(), "ProviderRequest", "Pod", 1), http.StatusBadRequest, `"Pod"`},
		"too many keys": {http.MethodPost, asking("a", "b", "c"), http.StatusRequestEntityTooLarge,
			"3 keys: at most 2"},
		"too many bytes": {http.MethodPost, asking(strings.Repeat("a", maxProviderBytes)),
			http.StatusRequestEntityTooLarge, "more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			code, got := send(t, newProvider(rules, 2, 1, time.Minute), test.method, test.body)
			if code != test.code || !strings.Contains(got.Response.SystemError, test.want) || got.Response.Items != nil {
				t.Errorf("got %d %+v", code, got.Response)
			}
		})
	}
	if len(cluster.asked) != 0 {
		t.Errorf("the cluster was asked: %q", cluster.asked)
	}
}

func TestARequestEndsWithItsDeadline(t *testing.T) {
	rules, _ := testRules(t)
	late := testRegistry + "/shop/late@" + digest("1")
	code, got := send(t, newProvider(rules, 1, 1, time.Second), http.MethodPost, asking(late))
	if code != http.StatusOK || !strings.Contains(got.Response.SystemError, "deadline") || got.Response.Items != nil {
		t.Errorf("the cluster is late: got %d %+v", code, got.Response)
	}

	provider := newProvider(rules, 1, 1, 50*time.Millisecond)
	provider.turns <- struct{}{}
	code, got = send(t, provider, http.MethodPost, asking(digest("1")))
	if code != http.StatusServiceUnavailable || !strings.Contains(got.Response.SystemError, "too many requests") {
		t.Errorf("without a turn: got %d %+v", code, got.Response)
	}
	<-provider.turns

	server := httptest.NewServer(provider)
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	slow, end := io.Pipe()
	defer end.Close()
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, slow)
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestTimeout || len(provider.turns) != 0 {
		t.Errorf("a body that doesn't come: got %s, %d turns taken", response.Status, len(provider.turns))
	}
}
