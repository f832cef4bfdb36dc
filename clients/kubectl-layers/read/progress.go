package read

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Progress tells on stderr how far many requests have come: on a terminal in one line that goes away, else in a line now
// and then. Short work isn't spoken of. Nil tells nothing.
type Progress struct {
	Out      io.Writer
	Terminal bool

	what  string
	total int
	count atomic.Int64
}

// Begin starts a count to `total`; what is returned ends it.
func (p *Progress) Begin(what string, total int) func() {
	if p == nil || p.Out == nil {
		return func() {}
	}
	p.what, p.total = what, total
	p.count.Store(0)
	stop := make(chan struct{})
	var told sync.WaitGroup
	told.Add(1)
	go func() {
		defer told.Done()
		p.tell(stop)
	}()
	return func() {
		close(stop)
		told.Wait()
	}
}

// Add says that so many more are done.
func (p *Progress) Add(n int) {
	if p != nil {
		p.count.Add(int64(n))
	}
}

func (p *Progress) tell(stop <-chan struct{}) {
	every := 10 * time.Second
	if p.Terminal {
		every = 200 * time.Millisecond
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	began, shown := time.Now(), false
	for {
		select {
		case <-stop:
			if shown && p.Terminal {
				fmt.Fprint(p.Out, "\r\x1b[K")
			}
			return
		case now := <-ticker.C:
			if now.Sub(began) < time.Second {
				continue
			}
			shown = true
			p.line()
		}
	}
}

func (p *Progress) line() {
	text := fmt.Sprintf("%d %s", p.count.Load(), p.what)
	if p.total > 0 {
		text = fmt.Sprintf("%d of %d %s", p.count.Load(), p.total, p.what)
	}
	if p.Terminal {
		fmt.Fprintf(p.Out, "\r\x1b[K%s", text)
	} else {
		fmt.Fprintln(p.Out, text)
	}
}
