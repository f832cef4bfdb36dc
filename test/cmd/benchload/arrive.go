package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/http2/hpack"
)

// Frames of RFC 9113 §6, as many as a client needs that only asks.
const (
	frameData, frameHeaders, frameReset, frameSettings = 0, 1, 3, 4
	framePing, frameGoAway, frameWindowUpdate          = 6, 7, 8

	flagEndStream, flagAck, flagEndHeaders = 1, 1, 4

	settingMaxStreams, settingInitialWindow = 3, 4

	maxWindow = 1<<31 - 1
	// Of connections' windows, given back when so much was read.
	windowStep = 1 << 28
	// Arrival times of the streams that are open: more than servers allow.
	maxOpen = 1 << 16
	// RFC 7541, appendix A: what the first byte of headers is that begin with `:status: 200`.
	statusOK = 0x88
)

// An h2 connection whose requests are sent when they are due, whatever was answered yet: latencies count from when a
// request was due, so those that a slow server keeps waiting before they are sent count too.
type arrivals struct {
	conn     *tls.Conn
	encoder  *hpack.Encoder
	block    bytes.Buffer // headers of one request
	fixed    []hpack.HeaderField
	nextID   uint32
	open     atomic.Int32
	maxOpen  int32 // the server's limit
	due      [maxOpen]atomic.Int64
	waiting  []int64 // due times of those that the server's limit keeps back; the sender's alone
	ready    chan struct{}
	answered []time.Duration
	failed   int
	body     int64

	mu  sync.Mutex
	out []byte // what is to be written next
}

func frame(out []byte, length int, kind, flags byte, stream uint32) []byte {
	out = append(out, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(out, stream)
}

func newArrivals(t *target, config *tls.Config) *arrivals {
	conn, err := t.dial(config)
	check(err)
	if protocol := conn.ConnectionState().NegotiatedProtocol; protocol != "h2" {
		log.Fatalf("the server chose %q", protocol)
	}
	a := &arrivals{conn: conn, nextID: 1, maxOpen: 100, ready: make(chan struct{})}
	a.encoder = hpack.NewEncoder(&a.block)
	a.fixed = []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: t.host}, {}, {Name: "accept", Value: "application/json"},
		{Name: "authorization", Value: "Bearer " + t.token}, {Name: "user-agent", Value: "benchload"}}
	a.out = append(a.out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
	a.out = frame(a.out, 6, frameSettings, 0, 0)
	a.out = binary.BigEndian.AppendUint16(a.out, settingInitialWindow)
	a.out = binary.BigEndian.AppendUint32(a.out, maxWindow)
	a.out = frame(a.out, 4, frameWindowUpdate, 0, 0)
	a.out = binary.BigEndian.AppendUint32(a.out, maxWindow-65535)
	a.flush()
	return a
}

// request queues a request; flush sends it.
func (a *arrivals) request(path string, due int64) {
	a.block.Reset()
	a.fixed[3] = hpack.HeaderField{Name: ":path", Value: path}
	for _, field := range a.fixed {
		check(a.encoder.WriteField(field))
	}
	a.due[a.nextID/2%maxOpen].Store(due)
	a.open.Add(1)
	a.mu.Lock()
	a.out = frame(a.out, a.block.Len(), frameHeaders, flagEndStream|flagEndHeaders, a.nextID)
	a.out = append(a.out, a.block.Bytes()...)
	a.mu.Unlock()
	a.nextID += 2
}

func (a *arrivals) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.out) > 0 {
		_, err := a.conn.Write(a.out)
		check(err)
		a.out = a.out[:0]
	}
}

func (a *arrivals) control(length int, kind, flags byte, payload []byte) {
	a.mu.Lock()
	a.out = append(frame(a.out, length, kind, flags, 0), payload...)
	a.mu.Unlock()
	a.flush()
}

// read takes answers until the connection is closed.
func (a *arrivals) read(start time.Time) {
	in := bufio.NewReaderSize(a.conn, 1<<18)
	header := make([]byte, 9)
	unreturned := 0
	settled := false
	for {
		if _, err := io.ReadFull(in, header); err != nil {
			return
		}
		length := int(header[0])<<16 | int(header[1])<<8 | int(header[2])
		kind, flags, stream := header[3], header[4], binary.BigEndian.Uint32(header[5:])
		switch kind {
		case frameData:
			a.body += int64(length)
			if unreturned += length; unreturned > windowStep {
				a.control(4, frameWindowUpdate, 0, binary.BigEndian.AppendUint32(nil, uint32(unreturned)))
				unreturned = 0
			}
		case frameHeaders:
			if first, err := in.Peek(1); err == nil && first[0] != statusOK {
				a.failed++
			}
		case frameReset:
			a.failed++
			a.open.Add(-1)
		case frameGoAway:
			log.Fatal("the server ends the connection")
		}
		if kind == frameSettings || kind == framePing {
			payload := make([]byte, length)
			if _, err := io.ReadFull(in, payload); err != nil {
				return
			}
			if flags&flagAck != 0 {
				continue
			}
			if kind == framePing {
				a.control(length, framePing, flagAck, payload)
				continue
			}
			for ; len(payload) >= 6; payload = payload[6:] {
				if binary.BigEndian.Uint16(payload) == settingMaxStreams {
					a.maxOpen = int32(min(binary.BigEndian.Uint32(payload[2:]), maxOpen/2))
				}
			}
			a.control(0, frameSettings, flagAck, nil)
			if !settled {
				settled = true
				close(a.ready)
			}
			continue
		}
		if _, err := in.Discard(length); err != nil {
			return
		}
		if (kind == frameData || kind == frameHeaders) && flags&flagEndStream != 0 {
			due := a.due[stream/2%maxOpen].Load()
			a.answered = append(a.answered, time.Since(start)-time.Duration(due))
			a.open.Add(-1)
		}
	}
}

// sleepUntil is exact to some tens of microseconds; Go's own timers are to a millisecond when nothing else runs.
func sleepUntil(start time.Time, due time.Duration) {
	if left := due - time.Since(start); left > 0 {
		request := syscall.NsecToTimespec(int64(left))
		_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&request)), 0, 0)
	}
}

// arrive sends requests with exponentially distributed gaps, as many independent clients do together.
func arrive(args []string) {
	var t target
	set := flag.NewFlagSet("arrive", flag.ExitOnError)
	t.flags(set)
	rate := set.Float64("rate", 1000, "requests a second")
	seconds := set.Float64("seconds", 5, "")
	connections := set.Int("connections", 1, "")
	warmup := set.Float64("warmup", 0.5, "seconds at the beginning that don't count")
	seed := set.Uint64("seed", 1, "of the gaps")
	samples := set.String("samples", "", "file that gets the sorted latencies, microseconds, one a line")
	_ = set.Parse(args)
	t.resolve()
	// The sender sleeps in the kernel and keeps its P: the readers need others.
	runtime.GOMAXPROCS(4)
	runtime.LockOSThread()
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_TIMERSLACK, 1, 0)

	config := t.config("h2")
	var conns []*arrivals
	for range *connections {
		conns = append(conns, newArrivals(&t, config))
	}
	start := time.Now()
	var readers sync.WaitGroup
	for _, c := range conns {
		c.answered = make([]time.Duration, 0, int(*rate*(*seconds+*warmup)/float64(*connections)*1.1))
		readers.Add(1)
		go func() {
			defer readers.Done()
			c.read(start)
		}()
		<-c.ready
	}

	random := rand.New(rand.NewPCG(*seed, 0))
	warm := time.Duration(*warmup * 1e9)
	begin := time.Since(start)
	end := begin + warm + time.Duration(*seconds*1e9)
	var late []time.Duration
	var cpuBefore float64
	var counted, mostOpen int
	measuring := false
	next := begin
	for n := 0; next < end; {
		sleepUntil(start, next)
		now := time.Since(start)
		if !measuring && now >= begin+warm {
			measuring, cpuBefore = true, ownCPU()
		}
		for ; next <= now && next < end; n++ {
			c := conns[n%len(conns)]
			c.waiting = append(c.waiting, int64(next))
			next += time.Duration(random.ExpFloat64() / *rate * 1e9)
		}
		for at, c := range conns {
			sent := 0
			for _, due := range c.waiting {
				if c.open.Load() >= c.maxOpen {
					break
				}
				c.request(t.names[counted%len(t.names)], due)
				late = append(late, time.Since(start)-time.Duration(due))
				counted++
				sent++
			}
			c.waiting = append(c.waiting[:0], c.waiting[sent:]...)
			if sent > 0 {
				c.flush()
			}
			mostOpen = max(mostOpen, int(conns[at].open.Load())+len(c.waiting))
		}
	}
	cpu := ownCPU() - cpuBefore
	unsent := 0
	for _, c := range conns {
		unsent += len(c.waiting)
		for left := 10 * time.Second; c.open.Load() > 0 && left > 0; left -= time.Millisecond {
			time.Sleep(time.Millisecond)
		}
		if c.open.Load() > 0 {
			log.Fatalf("%d requests weren't answered in 10 seconds", c.open.Load())
		}
		c.conn.Close()
	}
	readers.Wait()

	var latencies []time.Duration
	var body int64
	failed := 0
	for _, c := range conns {
		// In order of their ends, so those of the warm-up come first.
		latencies = append(latencies, c.answered[int(float64(len(c.answered))*(*warmup/(*warmup+*seconds))):]...)
		body += c.body
		failed += c.failed
	}
	late = late[int(float64(len(late))*(*warmup/(*warmup+*seconds))):]
	if *samples != "" {
		writeSamples(*samples, latencies)
	}
	report(map[string]any{"requests": len(latencies), "failed": failed, "unsent": unsent, "rate": float64(len(latencies)) / *seconds,
		"latency_us": percentiles(latencies), "late_us": percentiles(late), "most_open": mostOpen,
		"generator_cores": cpu / *seconds, "generator_cpu_s": ownCPU(), "bytes_an_answer": body / int64(max(1, counted))})
}

func writeSamples(path string, samples []time.Duration) {
	percentiles(samples)
	file, err := os.Create(path)
	check(err)
	defer file.Close()
	out := bufio.NewWriter(file)
	for _, one := range samples {
		fmt.Fprintf(out, "%.1f\n", float64(one)/1e3)
	}
	check(out.Flush())
}
