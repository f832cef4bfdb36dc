package read

import (
	"fmt"
	"io"
	"sync"
)

// So many warnings of servers are shown; the rest is counted. Over many streams there can be thousands.
const mostWarnings = 5

// Warnings shows what servers warn of, each once, as kubectl does.
type Warnings struct {
	Out io.Writer

	mu    sync.Mutex
	known map[string]bool
}

// HandleWarningHeader is client-go's rest.WarningHandler.
func (w *Warnings) HandleWarningHeader(code int, _, text string) {
	const miscellaneous = 299 // The others are of caches (RFC 7234 §5.5).
	w.mu.Lock()
	defer w.mu.Unlock()
	if code != miscellaneous || text == "" || w.known[text] {
		return
	}
	if w.known == nil {
		w.known = map[string]bool{}
	}
	w.known[text] = true
	if len(w.known) <= mostWarnings {
		fmt.Fprintln(w.Out, "Warning: "+text)
	}
}

// More is how many weren't shown.
func (w *Warnings) More() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(0, len(w.known)-mostWarnings)
}
