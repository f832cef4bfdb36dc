package read

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestWarningsAreShownOnceAndThenCounted(t *testing.T) {
	var out bytes.Buffer
	warnings := &Warnings{Out: &out}
	for range 2 {
		for i := range mostWarnings + 3 {
			warnings.HandleWarningHeader(299, "", fmt.Sprintf("image %d", i))
		}
	}
	warnings.HandleWarningHeader(110, "", "stale")
	if got := strings.Count(out.String(), "Warning: image "); got != mostWarnings || warnings.More() != 3 {
		t.Errorf("%d more than\n%s", warnings.More(), out.String())
	}
}
