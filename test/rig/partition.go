package rig

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// peerProxies stand before the ports by which members of an etcd reach each other. Both directions of a connection belong
// to the member that dialled it, which says so in its first request (etcd rafthttp, X-Server-From): so one member can be
// parted from all others, while its clients reach it.
type peerProxies struct {
	mu     sync.Mutex
	parted uint64 // its id; 0: none
	silent bool   // its connections stay, and nothing passes
	open   map[net.Conn]ends
}

type ends struct {
	from uint64
	to   *atomic.Uint64 // 0 until it is known
}

func (e ends) of(id uint64) bool { return id != 0 && (e.from == id || e.to.Load() == id) }

var serverFrom = []byte("X-Server-From: ")

// serve passes what comes to `listener` on to the member `to` at `target`.
func (p *peerProxies) serve(t *testing.T, listener net.Listener, target string, to *atomic.Uint64) {
	Accept(t, listener, func(in net.Conn) { p.pass(in, target, to) })
}

func (p *peerProxies) pass(in net.Conn, target string, to *atomic.Uint64) {
	defer in.Close()
	buffer := make([]byte, 1<<16)
	n := 0
	for !bytes.Contains(buffer[:n], []byte("\r\n\r\n")) {
		got, err := in.Read(buffer[n:])
		if err != nil || got == 0 {
			return
		}
		n += got
	}
	var from uint64
	if at := bytes.Index(buffer[:n], serverFrom); at >= 0 {
		value := buffer[at+len(serverFrom) : n]
		from, _ = strconv.ParseUint(string(value[:bytes.IndexByte(value, '\r')]), 16, 64)
	}
	p.mu.Lock()
	refused := ends{from, to}.of(p.parted) && !p.silent
	if !refused {
		p.open[in] = ends{from, to}
	}
	p.mu.Unlock()
	if refused {
		return
	}
	defer func() {
		p.mu.Lock()
		delete(p.open, in)
		p.mu.Unlock()
	}()
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer out.Close()
	if _, err := out.Write(buffer[:n]); err != nil {
		return
	}
	e := ends{from, to}
	go func() {
		_, _ = io.Copy(held{out, p, e}, in)
		out.Close()
	}()
	_, _ = io.Copy(held{in, p, e}, out)
}

// held is written to when its member isn't parted from others.
type held struct {
	io.Writer
	p *peerProxies
	e ends
}

func (h held) Write(bytes []byte) (int, error) {
	for h.p.holds(h.e) {
		time.Sleep(10 * time.Millisecond)
	}
	return h.Writer.Write(bytes)
}

func (p *peerProxies) holds(e ends) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silent && e.of(p.parted)
}

// part ends all connections of the member with this id to others, and takes no new ones; silently, they stay, and nothing
// passes; 0: of nobody any more.
func (p *peerProxies) part(id uint64, silently bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parted, p.silent = id, silently
	if silently {
		return
	}
	for in, e := range p.open {
		if e.of(id) {
			in.Close()
		}
	}
}

// Part lets nothing pass between a member and the others. Its clients still reach it.
func (c *Cluster) Part(member int) { c.peers.part(c.ids[member].Load(), false) }

// PartSilently is Part as a network does it that drops what it is given.
func (c *Cluster) PartSilently(member int) { c.peers.part(c.ids[member].Load(), true) }

// Join ends that.
func (c *Cluster) Join() { c.peers.part(0, false) }

func listenLocally(t *testing.T) (net.Listener, string) {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", FreePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	return listener, "http://" + listener.Addr().String()
}
