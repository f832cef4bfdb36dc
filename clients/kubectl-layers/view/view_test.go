package view

import (
	"bytes"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func TestBytesReadWell(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0B", 1023: "1023B", 1024: "1.0KiB", 1536: "1.5KiB", 1048575: "1.0MiB",
		78912345: "75.3MiB", 1 << 40: "1.0TiB", -2048: "-2.0KiB"} {
		if got := Bytes(bytes); got != want {
			t.Errorf("%d: %s", bytes, got)
		}
	}
}

func TestManyNamesAreCut(t *testing.T) {
	for want, names := range map[string][]string{"": nil, "a": {"a"}, "a,b": {"a", "b"}, "a,b + 2 more...": {"a", "b", "c", "d"}} {
		if got := Some(names, 2); got != want {
			t.Errorf("%v: %s", names, got)
		}
	}
}

func result() *Result {
	return &Result{Columns: []Column{{Name: "Name"}, {Name: "Size"}, {Name: "Type", Wide: true}}, Before: []string{"above"},
		After: []string{"below"}, Empty: "nothing",
		Rows: []Row{
			{Cells: []any{"b", "2B", "x"}, Style: Bad, Object: Object{Kind: "Thing", Name: "b", Fields: map[string]any{"size": int64(2)}}},
			{Cells: []any{"a", "10B", "y"}, Object: Object{Kind: "Thing", Namespace: "n", Name: "a", Fields: map[string]any{"size": int64(10), "none": nil}}},
		}}
}

func TestResultsArePrintedInEveryForm(t *testing.T) {
	for _, c := range []struct {
		output, sort string
		noHeaders    bool
		want         string
	}{
		{"", "", false, "above\nNAME   SIZE\nb      2B\na      10B\nbelow\n"},
		{"", "", true, "b     2B\na     10B\n"},
		{"wide", "", false, "above\nNAME   SIZE   TYPE\nb      2B     x\na      10B    y\nbelow\n"},
		{"", ".metadata.name", false, "above\nNAME   SIZE\na      10B\nb      2B\nbelow\n"},
		{"name", "", false, "thing.kubectl-layers.strata.dev/b\nthing.kubectl-layers.strata.dev/a\n"},
		{"name", "{.size}", false, "thing.kubectl-layers.strata.dev/b\nthing.kubectl-layers.strata.dev/a\n"},
		{"jsonpath={.items[*].size}", "", false, "2 10"},
		{"custom-columns=N:.metadata.name", "", false, "N\nb\na\n"},
		{"custom-columns=N:.metadata.name", "", true, "b\na\n"},
		{"go-template={{range .items}}{{.metadata.name}};{{end}}", "", false, "b;a;"},
	} {
		var out bytes.Buffer
		flags := NewFlags()
		flags.Output, flags.SortBy, flags.NoHeaders = c.output, c.sort, c.noHeaders
		if err := flags.Print(Screen{IOStreams: genericiooptions.IOStreams{Out: &out}}, result()); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		if out.String() != c.want {
			t.Errorf("-o %q --sort-by=%q --no-headers=%v:\n%s", c.output, c.sort, c.noHeaders, out.String())
		}
	}
}

func TestColoursAreATerminalsAndStayWithTheirRows(t *testing.T) {
	var out bytes.Buffer
	flags := NewFlags()
	flags.SortBy = ".metadata.name"
	if err := flags.Print(Screen{IOStreams: genericiooptions.IOStreams{Out: &out}, Terminal: true, Colour: true}, result()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\na      10B\n\x1b[31mb      2B\x1b[0m\n") {
		t.Errorf("%q", out.String())
	}
}

func TestWrongFormatsAndFieldsAreErrors(t *testing.T) {
	flags := NewFlags()
	flags.Output = "table"
	if err := flags.Validate(); err == nil {
		t.Error("-o table")
	}
	flags = NewFlags()
	flags.SortBy = ".nope"
	if err := flags.Print(Screen{IOStreams: genericiooptions.NewTestIOStreamsDiscard()}, result()); err == nil {
		t.Error("--sort-by=.nope")
	}
}

func TestTreesAreDrawnOnTerminals(t *testing.T) {
	last := []bool{false, true, false}
	if got := (Screen{Terminal: true}).Branches(last); got != "│     ├─ " {
		t.Errorf("%q", got)
	}
	if got := (Screen{}).Branches(last); got != "      " {
		t.Errorf("%q", got)
	}
}

func TestWhatAServerSaysCommandsNoTerminal(t *testing.T) {
	var out bytes.Buffer
	screen := Screen{IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &out}}
	r := result()
	r.Before, r.Rows[0].Cells[0] = []string{"a\x1b[2Jbove"}, "b\x1b[2J"
	if err := NewFlags().Print(screen, r); err != nil {
		t.Fatal(err)
	}
	screen.Note("\x1b]0;title\a")
	if strings.Contains(out.String(), "\x1b") || !strings.Contains(out.String(), "a^[[2Jbove") {
		t.Errorf("%q", out.String())
	}
}
