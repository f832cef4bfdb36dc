package rig

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A Switch joins nodes with the network of the test, which is one of its own (InOwnNetwork).
type Switch struct {
	t     *testing.T
	nodes int
}

// A Node has a network of its own, which lasts as long as the test.
type Node struct {
	Address string
	t       *testing.T
	port    string // of the switch
	network string // a file that stands for it
}

func NewSwitch(t *testing.T) *Switch {
	t.Helper()
	ip(t, "link add switch type bridge")
	ip(t, "address add 10.2.0.1/24 dev switch")
	ip(t, "link set switch up")
	t.Cleanup(func() { ip(t, "link delete switch") })
	return &Switch{t: t}
}

// Node is another one. Everybody knows its hardware's address for good: no question for it that nobody answers tells that
// it is unplugged, as none does where a router is between.
func (s *Switch) Node() *Node {
	s.t.Helper()
	s.nodes++
	n := &Node{Address: fmt.Sprintf("10.2.0.%d", 1+s.nodes), t: s.t, port: fmt.Sprintf("port%d", s.nodes)}
	holder := Start(s.t, "unshare", "--net", "sleep", "infinity")
	n.network = fmt.Sprintf("/proc/%d/ns/net", holder.Pid())
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		s.t.Fatal(err)
	}
	Eventually(s.t, "the node has a network", func() error {
		if its, err := os.Readlink(n.network); err != nil || its == ours {
			return fmt.Errorf("%s: %v", its, err)
		}
		return nil
	})
	ip(s.t, fmt.Sprintf("link add %s master switch type veth peer name eth0 address %s netns %d", n.port,
		hardware(s.nodes), holder.Pid()))
	s.t.Cleanup(func() { ip(s.t, "link delete "+n.port) })
	ip(s.t, fmt.Sprintf("link set %s up", n.port))
	ip(s.t, fmt.Sprintf("neighbour replace %s lladdr %s dev switch nud permanent", n.Address, hardware(s.nodes)))
	within := "--net=" + n.network
	for _, command := range []string{"link set lo up", "address add " + n.Address + "/24 dev eth0", "link set eth0 up"} {
		run(s.t, "nsenter", append([]string{within, "ip"}, strings.Fields(command)...)...)
	}
	return n
}

func hardware(node int) string { return fmt.Sprintf("02:00:00:00:00:%02x", node) }

// Start is Start, on the node.
func (n *Node) Start(t *testing.T, name string, args ...string) *Process {
	t.Helper()
	return Start(t, "nsenter", append([]string{"--net=" + n.network, name}, args...)...)
}

// Unplug lets all get lost that is sent to the node or by it, and nobody is told.
func (n *Node) Unplug() {
	n.t.Helper()
	run(n.t, "bridge", "link", "set", "dev", n.port, "state", "0") // "disabled"
}

// Plug ends that.
func (n *Node) Plug() {
	n.t.Helper()
	run(n.t, "bridge", "link", "set", "dev", n.port, "state", "3") // "forwarding"
}

func ip(t *testing.T, command string) {
	t.Helper()
	run(t, "ip", strings.Fields(command)...)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}
