package read

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestProgressIsALineThatGoesAway(t *testing.T) {
	s := &screen{}
	progress := &Progress{Out: s, Terminal: true}
	done := progress.Begin("streams", 40)
	progress.Add(7)
	for end := time.Now().Add(30 * time.Second); !strings.Contains(s.String(), "7 of 40 streams"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q", s.String())
		}
	}
	done()
	if !strings.HasSuffix(s.String(), "\r\x1b[K") {
		t.Errorf("%q", s.String())
	}
}

func TestShortWorkIsNotSpokenOf(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		s := &screen{}
		progress := &Progress{Out: s, Terminal: terminal}
		progress.Begin("streams", 40)()
		if s.String() != "" {
			t.Errorf("%q", s.String())
		}
	}
	var none *Progress
	none.Begin("streams", 40)()
	none.Add(1)
}
