package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestWhoDoesNotReadTheAnswerLosesItsTurn(t *testing.T) {
	ended := make(chan error, 1)
	handler := &bounded{turns: make(chan struct{}, 1), deadline: 50 * time.Millisecond,
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var err error
			for block := make([]byte, 1<<16); err == nil; {
				_, err = w.Write(block)
			}
			ended <- err
		})}
	server := httptest.NewServer(handler)
	defer server.Close()
	client, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := fmt.Fprint(client, "GET / HTTP/1.1\r\nHost: any\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		client.Close()
		t.Error("the turn is kept")
	}
}
