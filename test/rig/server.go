package rig

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
)

// StartServer starts strata-apiserver on a free port, with serving.crt and serving.key of `dir`. It is ready then.
func StartServer(t *testing.T, dir string, flags ...string) (p *Process, url string) {
	t.Helper()
	return StartServerUnder(t, "", dir, flags...)
}

// StartServerUnder is StartServer by a shell that has been told something before: limits, an environment.
func StartServerUnder(t *testing.T, told, dir string, flags ...string) (p *Process, url string) {
	t.Helper()
	port := FreePort(t)
	args := append([]string{"-c", told + "\n" + `exec "$0" "$@"`, Strata(t, "strata-apiserver")}, flags...)
	p = Start(t, "bash", append(args, "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port), "--tls-cert-file="+filepath.Join(dir, "serving.crt"),
		"--tls-private-key-file="+filepath.Join(dir, "serving.key"))...)
	url = fmt.Sprintf("https://127.0.0.1:%d", port)
	// Whose certificate it is, the clients of the test judge.
	client := &http.Client{Timeout: Patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	Eventually(t, "the server is ready", func() error {
		response, err := client.Get(url + "/readyz")
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", response.Status)
		}
		return nil
	})
	return p, url
}
