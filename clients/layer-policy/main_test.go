package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWhatIsDeniedIsADigestALine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "denied.txt")
	for text, want := range map[string][]string{
		"":           nil,
		"# none\n\n": nil,
		digest("1"):  {digest("1")},
		" " + digest("1") + "\r\n# why\n\t\n" + digest("2") + "\n": {digest("1"), digest("2")},
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		denied, err := readDigests(file)
		if got := slices.Sorted(maps.Keys(denied)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	// What denied nothing would be as good as no policy, and nobody would know.
	for _, line := range []string{"1", strings.TrimPrefix(digest("1"), "sha256:"), digest("1") + " # why", digest("A"),
		digest("1") + digest("2"), digest("1") + ",", "sha256:" + strings.Repeat("1", 63)} {
		if err := os.WriteFile(file, []byte("# first\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readDigests(file); err == nil || !strings.Contains(err.Error(), "line 2 is no digest") {
			t.Errorf("%q: %v", line, err)
		}
	}
	if _, err := readDigests(file + ".gone"); err == nil {
		t.Error("a file that isn't there denies nothing")
	}
}
