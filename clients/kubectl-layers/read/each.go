package read

import (
	"context"
	"fmt"
	"sync"
)

// Each calls `do` for 0 to n-1, Concurrency at a time, until one fails; its error is returned.
func (c *Client) Each(ctx context.Context, what string, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := c.Progress.Begin(what, n)
	defer done()
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(c.Concurrency, n) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
				c.Progress.Add(1)
			}
		}()
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

func noteCount(note func(string), count int, what string) {
	switch {
	case count == 1:
		note("1 stream " + what)
	case count > 1:
		note(fmt.Sprintf("%d streams %s", count, what))
	}
}
