package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// bounded answers so many requests at a time, of so many bytes, each until the deadline. Whoever has no turn by then is
// refused.
type bounded struct {
	handler  http.Handler
	turns    chan struct{} // one for each request that is being answered
	deadline time.Duration
	maxBytes int64
	refuse   func(w http.ResponseWriter, code int, why string)
}

func (b *bounded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > b.maxBytes {
		b.refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("more than %d bytes", b.maxBytes))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), b.deadline)
	defer cancel()
	select {
	case b.turns <- struct{}{}:
		defer func() { <-b.turns }()
	case <-ctx.Done():
		b.refuse(w, http.StatusServiceUnavailable, "too many requests at a time")
		return
	}
	end, _ := ctx.Deadline()
	// Nobody keeps a turn by sending slowly, or by not reading the answer, which may come at the deadline. A writer that
	// can't be given a deadline is a test's.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(end)
	_ = control.SetWriteDeadline(end.Add(b.deadline))
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, b.maxBytes)
	b.handler.ServeHTTP(w, r)
}
