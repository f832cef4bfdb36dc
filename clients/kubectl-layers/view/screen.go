package view

import (
	"fmt"
	"os"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
)

// Screen is where output goes.
type Screen struct {
	genericiooptions.IOStreams
	// Terminal: stdout is one, so boxes are drawn. Colour: and it takes colours.
	Terminal, Colour bool
}

// NewScreen looks at what the streams are.
func NewScreen(streams genericiooptions.IOStreams) Screen {
	return Screen{IOStreams: streams, Terminal: IsTerminal(streams.Out), Colour: printers.AllowsColorOutput(streams.Out)}
}

// IsTerminal tells whether a stream is one.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Paint a line.
func (s Screen) Paint(style Style, line string) string {
	codes := map[Style]string{Good: "32", Bad: "31", Warn: "33", Dim: "2"}
	code, styled := codes[style]
	if !s.Colour || !styled || line == "" {
		return line
	}
	return "\x1b[" + code + "m" + line + "\x1b[0m"
}

// Line prints text that servers may have had a say in: what a terminal would take for a command is shown instead.
func (s Screen) Line(style Style, format string, args ...any) {
	fmt.Fprintln(s.Out, s.Paint(style, printers.EscapeTerminal(fmt.Sprintf(format, args...))))
}

// Note prints such text on stderr.
func (s Screen) Note(text string) { fmt.Fprintln(s.ErrOut, printers.EscapeTerminal(text)) }
