package rig

import (
	"errors"
	"math/rand"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Fault is what a proxy does to the bytes that pass, of both directions unless it says otherwise; the zero value
// does nothing.
type Fault struct {
	Silent bool          // nothing passes, and nobody is told
	Delay  time.Duration // of each piece; up to half as much more or less
	Slice  int           // bytes that a piece has at most
	Rate   int           // bytes a second
	Flip   int           // of the target's bytes one in so many has another bit
	Twice  int           // of the target's pieces one in so many comes twice
	Cut    int           // each connection ends after so many bytes of the target
}

// A Proxy stands before TCP servers, which are reached through it as long as its fault lets through.
type Proxy struct {
	URL string // with the scheme of what it was made for

	mu      sync.Mutex
	targets []string // the first is the next connection's
	fault   Fault
	open    map[*net.TCPConn]bool
	buried  map[*net.TCPConn]bool // by the clients' ends
}

// NewProxy of a server at a URL of a scheme, a host and a port.
func NewProxy(t *testing.T, url string) *Proxy {
	t.Helper()
	scheme, _, _ := strings.Cut(url, "://")
	listener, local := listenLocally(t)
	p := &Proxy{URL: scheme + strings.TrimPrefix(local, "http"), open: map[*net.TCPConn]bool{},
		buried: map[*net.TCPConn]bool{}}
	p.Lead(url)
	Accept(t, listener, func(in net.Conn) { p.pass(in.(*net.TCPConn)) })
	t.Cleanup(p.Reset)
	return p
}

// Lead has new connections come to these servers in turn, as a Service has that thinks them ready.
func (p *Proxy) Lead(urls ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets = nil
	for _, url := range urls {
		_, target, _ := strings.Cut(url, "://")
		p.targets = append(p.targets, target)
	}
}

func (p *Proxy) next() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	target := p.targets[0]
	p.targets = append(p.targets[1:], target)
	return target
}

// Set is the fault from now on, also of what is open.
func (p *Proxy) Set(fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

// Reset ends all connections as a machine does that knows nothing of them.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.SetLinger(0)
		c.Close()
		delete(p.open, c)
	}
}

// Bury makes of all connections what a router makes of those that it has forgotten: no packet arrives any more, and none
// is answered. New ones pass.
func (p *Proxy) Bury() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		p.buried[c] = true
		nothing := []syscall.SockFilter{{Code: syscall.BPF_RET | syscall.BPF_K}}
		if failed := raw.Control(func(fd uintptr) { err = syscall.AttachLsf(int(fd), nothing) }); failed != nil || err != nil {
			return errors.Join(failed, err)
		}
	}
	return nil
}

func (p *Proxy) now() Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

// is keeps what is open, so that Reset finds it.
func (p *Proxy) is(c *net.TCPConn, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if open {
		p.open[c] = true
	} else {
		delete(p.open, c)
		delete(p.buried, c)
		c.Close()
	}
}

// speaking is the fault once it isn't to be silent; false if the connection ends before.
func (p *Proxy) speaking(in *net.TCPConn) (Fault, bool) {
	for {
		p.mu.Lock()
		fault, open, buried := p.fault, p.open[in], p.buried[in]
		p.mu.Unlock()
		if !open || !fault.Silent && !buried {
			return fault, open
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *Proxy) pass(in *net.TCPConn) {
	p.is(in, true)
	defer p.is(in, false)
	if _, ok := p.speaking(in); !ok {
		return
	}
	connection, err := net.Dial("tcp", p.next())
	if err != nil {
		return
	}
	out := connection.(*net.TCPConn)
	p.is(out, true)
	defer p.is(out, false)
	done := make(chan struct{}, 2)
	for _, way := range []struct {
		from, to   *net.TCPConn
		fromTarget bool
	}{{in, out, false}, {out, in, true}} {
		go func() {
			p.pump(in, way.from, way.to, way.fromTarget)
			done <- struct{}{}
		}()
	}
	<-done
	in.Close()
	out.Close()
	<-done
}

func (p *Proxy) pump(in, from, to *net.TCPConn, fromTarget bool) {
	buffer := make([]byte, 16<<10)
	random := rand.New(rand.NewSource(rand.Int63()))
	for total := 0; ; {
		size := len(buffer)
		if now := p.now(); now.Slice > 0 {
			size = now.Slice
		} else if now.Rate > 0 {
			size = max(1, now.Rate/20) // nothing is held up for long once this has ended
		}
		n, err := from.Read(buffer[:size])
		if err != nil {
			return
		}
		fault, ok := p.speaking(in)
		if !ok {
			return
		}
		piece := buffer[:n]
		if fromTarget {
			if total += n; fault.Cut > 0 && total > fault.Cut {
				piece = piece[:max(0, n-(total-fault.Cut))]
			}
			piece = fault.spoil(piece, random)
		}
		time.Sleep(fault.holdUp(n, random))
		if _, err := to.Write(piece); err != nil || fromTarget && fault.Cut > 0 && total > fault.Cut {
			return
		}
	}
}

func (f Fault) spoil(piece []byte, random *rand.Rand) []byte {
	if f.Flip > 0 {
		for i := range piece {
			if random.Intn(f.Flip) == 0 {
				piece[i] ^= 1 << random.Intn(8)
			}
		}
	}
	if f.Twice > 0 && random.Intn(f.Twice) == 0 {
		return append(append([]byte(nil), piece...), piece...)
	}
	return piece
}

func (f Fault) holdUp(bytes int, random *rand.Rand) time.Duration {
	var hold time.Duration
	if f.Delay > 0 {
		hold = f.Delay/2 + time.Duration(random.Int63n(int64(f.Delay)))
	}
	if f.Rate > 0 {
		hold += time.Duration(bytes) * time.Second / time.Duration(f.Rate)
	}
	return hold
}
