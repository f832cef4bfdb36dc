package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// provider answers Gatekeeper's requests for external data: what the rules say of each key, an image or a digest.
//
// Gatekeeper keeps items, errors too, for minutes. What may be otherwise when asked again (the cluster was late, or away)
// is a system error therefore, and the key has no item.
type provider struct {
	rules   *rules
	maxKeys int
}

const (
	providerVersion  = "externaldata.gatekeeper.sh/v1beta1"
	maxProviderBytes = 1 << 20
)

type providerRequest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Request    struct {
		Keys []string `json:"keys"`
	} `json:"request"`
}

type providerResponse struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Response   providerAnswer `json:"response"`
}

type providerAnswer struct {
	Idempotent  bool           `json:"idempotent"`
	Items       []providerItem `json:"items,omitempty"`
	SystemError string         `json:"systemError,omitempty"`
}

type providerItem struct {
	Key   string         `json:"key"`
	Value *providerValue `json:"value,omitempty"`
	Error string         `json:"error,omitempty"`
}

type providerValue struct {
	Allowed     bool   `json:"allowed"`
	Known       bool   `json:"known"`
	DeniedLayer string `json:"deniedLayer,omitempty"`
}

func newProvider(rules *rules, maxKeys, atATime int, deadline time.Duration) *bounded {
	return &bounded{handler: &provider{rules: rules, maxKeys: maxKeys}, turns: make(chan struct{}, atATime),
		deadline: deadline, maxBytes: maxProviderBytes, refuse: refuse}
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	keys, code, err := p.read(r)
	if err != nil {
		refuse(w, code, err.Error())
		return
	}
	respond(w, http.StatusOK, p.answer(r.Context(), keys))
}

// read is the keys, each once, or what to answer instead.
func (p *provider) read(r *http.Request) ([]string, int, error) {
	if r.Method != http.MethodPost {
		return nil, http.StatusMethodNotAllowed, fmt.Errorf("method %s: only POST is answered", r.Method)
	}
	text, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("more than %d bytes", tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, http.StatusRequestTimeout, errors.New("the request came too slowly")
	case err != nil:
		return nil, http.StatusBadRequest, err
	}
	var request providerRequest
	if err := json.Unmarshal(text, &request); err != nil {
		return nil, http.StatusBadRequest, err
	}
	if request.APIVersion != providerVersion || request.Kind != "ProviderRequest" {
		return nil, http.StatusBadRequest, fmt.Errorf("%.100q, %.100q: only %s, ProviderRequest is answered",
			request.APIVersion, request.Kind, providerVersion)
	}
	if len(request.Request.Keys) > p.maxKeys {
		return nil, http.StatusRequestEntityTooLarge,
			fmt.Errorf("%d keys: at most %d are answered", len(request.Request.Keys), p.maxKeys)
	}
	return distinct(request.Request.Keys), http.StatusOK, nil
}

// distinct are the names, each once, in their order.
func distinct(names []string) []string {
	var once []string
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			once = append(once, name)
		}
	}
	return once
}

func (p *provider) answer(ctx context.Context, keys []string) providerAnswer {
	images := make([]image, len(keys))
	for i, key := range keys {
		images[i] = p.rules.ofKey(key)
	}
	answer := providerAnswer{Idempotent: true}
	var failed []string
	for i, decision := range p.rules.decide(ctx, images) {
		switch {
		case errors.Is(decision.err, errUnknowable):
			answer.Items = append(answer.Items, providerItem{Key: keys[i], Error: decision.err.Error()})
		case decision.err != nil:
			failed = append(failed, fmt.Sprintf("%s: %v", keys[i], decision.err))
		default:
			answer.Items = append(answer.Items, providerItem{Key: keys[i], Value: &providerValue{
				Allowed: decision.denied == "", Known: decision.known, DeniedLayer: decision.denied}})
		}
	}
	answer.SystemError = strings.Join(failed, "; ")
	return answer
}

func refuse(w http.ResponseWriter, code int, why string) {
	respond(w, code, providerAnswer{Idempotent: true, SystemError: why})
}

// Gatekeeper reads the body whatever the code is.
func respond(w http.ResponseWriter, code int, answer providerAnswer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(providerResponse{APIVersion: providerVersion, Kind: "ProviderResponse", Response: answer})
}

// onlyClientsOf makes a server want TLS 1.3 and a certificate of the CA in the file, which is read for each connection:
// Gatekeeper renews its own.
func onlyClientsOf(file string) func(*tls.Config) {
	return func(config *tls.Config) {
		config.MinVersion = tls.VersionTLS13
		config.ClientAuth = tls.RequireAndVerifyClientCert
		// A session of before isn't resumed past a CA that has changed.
		config.SessionTicketsDisabled = true
		config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			pool, err := readCA(file)
			if err != nil {
				return nil, err
			}
			now := config.Clone()
			now.GetConfigForClient = nil
			now.ClientCAs = pool
			return now, nil
		}
	}
}

func readCA(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it", file)
	}
	return pool, nil
}
