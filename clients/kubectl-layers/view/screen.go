package view

import (
	"os"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// Screen is where output goes.
type Screen struct {
	genericiooptions.IOStreams
	// Terminal: stdout is one, so boxes are drawn. Colour: and it takes colours.
	Terminal, Colour bool
}

// NewScreen looks at what the streams are. NO_COLOR (no-color.org) and TERM=dumb turn colours off.
func NewScreen(streams genericiooptions.IOStreams) Screen {
	screen := Screen{IOStreams: streams, Terminal: IsTerminal(streams.Out)}
	screen.Colour = screen.Terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return screen
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
