package cmd

import (
	"bytes"
	"os"
)

// write a page into a file, whole or not at all; - is stdout.
func (c *common) write(path string, html []byte) error {
	if path == "-" {
		_, err := bytes.NewReader(html).WriteTo(c.screen.Out)
		return err
	}
	if err := os.WriteFile(path+".new", html, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
