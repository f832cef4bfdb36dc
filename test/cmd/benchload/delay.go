package main

import (
	"flag"
	"io"
	"log"
	"net"
	"runtime"
	"time"
)

// delay is a proxy that hands on what it reads so many milliseconds later: half a round trip, each way.
func delay(args []string) {
	set := flag.NewFlagSet("delay", flag.ExitOnError)
	listen := set.String("listen", "127.0.0.1:0", "")
	to := set.String("to", "", "host:port")
	by := set.Duration("by", 2500*time.Microsecond, "each way")
	_ = set.Parse(args)
	// Those that sleep until a piece is due keep their Ps, and there is one of them each way of each connection.
	runtime.GOMAXPROCS(64)
	listener, err := net.Listen("tcp", *listen)
	check(err)
	report(map[string]any{"listening": listener.Addr().String()})
	for {
		client, err := listener.Accept()
		check(err)
		server, err := net.Dial("tcp", *to)
		if err != nil {
			log.Print(err)
			client.Close()
			continue
		}
		go later(client, server, *by)
		go later(server, client, *by)
	}
}

type piece struct {
	bytes []byte
	due   time.Time
}

// later hands on; how much may be on its way is as bounded as a long wire's would be.
func later(from, to net.Conn, by time.Duration) {
	pieces := make(chan piece, 4096)
	go func() {
		defer to.Close()
		start := time.Now()
		for p := range pieces {
			sleepUntil(start, p.due.Sub(start))
			if _, err := to.Write(p.bytes); err != nil {
				_, _ = io.Copy(io.Discard, from)
				return
			}
		}
	}()
	defer close(pieces)
	for {
		buffer := make([]byte, 1<<16)
		n, err := from.Read(buffer)
		if n > 0 {
			pieces <- piece{buffer[:n], time.Now().Add(by)}
		}
		if err != nil {
			return
		}
	}
}
