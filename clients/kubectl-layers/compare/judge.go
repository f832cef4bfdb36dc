package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Reasons why answers may differ: docs/compatibility.md, "Layers".
const (
	Refused    = "the first server refuses the stream for an image that the second one warns of"
	Unreadable = "an image's record can't be read: to the second server it is missing, with a warning"
	Disagreed  = "images disagree about a blob: the first server takes a random one's word"
)

// Difference between two answers: where, and both sides.
type Difference struct {
	Path, A, B string
	// Why it is expected, "" where it isn't.
	Reason string
	// The blob that it is about, where images may disagree about it: whoever can asks them.
	blob string
}

// Judge finds the differences between a first server's answer and a second one's. Fields of metadata in `ignored` aren't
// looked at.
func Judge(a, b Answer, ignored []string) []Difference {
	if a.Code == b.Code && bytes.Equal(a.Body, b.Body) {
		return nil
	}
	if a.Code != b.Code {
		d := Difference{Path: "status", A: brief(a), B: brief(b)}
		if a.Code == http.StatusUnprocessableEntity && b.ok() && len(b.Warnings) != 0 {
			d.Reason = Refused
		}
		return []Difference{d}
	}
	var left, right any
	if decode(a.Body, &left) != nil || decode(b.Body, &right) != nil {
		return []Difference{atByte(a.Body, b.Body)}
	}
	strip(left, ignored)
	strip(right, ignored)
	differences := walk("", left, right)
	if len(differences) == 0 && len(ignored) == 0 {
		// The same content, written otherwise.
		return []Difference{atByte(a.Body, b.Body)}
	}
	for i := range differences {
		differences[i].explain(b)
	}
	return differences
}

func decode(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	return decoder.Decode(into)
}

func strip(object any, ignored []string) {
	top, _ := object.(map[string]any)
	metadata, _ := top["metadata"].(map[string]any)
	for _, field := range ignored {
		delete(metadata, field)
	}
}

// walk lists where two values differ, as paths like JSON pointers (RFC 6901) but for their escapes.
func walk(path string, a, b any) []Difference {
	switch left := a.(type) {
	case map[string]any:
		if right, ok := b.(map[string]any); ok {
			return walkMaps(path, left, right)
		}
	case []any:
		if right, ok := b.([]any); ok && len(left) == len(right) {
			var found []Difference
			for i := range left {
				found = append(found, walk(fmt.Sprintf("%s/%d", path, i), left[i], right[i])...)
			}
			return found
		}
	}
	if textOf(a) == textOf(b) {
		return nil
	}
	return []Difference{{Path: path, A: textOf(a), B: textOf(b)}}
}

func walkMaps(path string, a, b map[string]any) []Difference {
	var keys []string
	for key := range a {
		keys = append(keys, key)
	}
	for key := range b {
		if _, both := a[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var found []Difference
	for _, key := range keys {
		left, inA := a[key]
		right, inB := b[key]
		at := path + "/" + key
		switch {
		case !inA:
			found = append(found, Difference{Path: at, A: absent, B: textOf(right)})
		case !inB:
			found = append(found, Difference{Path: at, A: textOf(left), B: absent})
		default:
			found = append(found, walk(at, left, right)...)
		}
	}
	return found
}

const absent = "(absent)"

func textOf(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

// explain says why a difference is expected, as far as the answers tell.
func (d *Difference) explain(b Answer) {
	parts := strings.Split(strings.TrimPrefix(d.Path, "/"), "/")
	switch {
	case len(parts) >= 2 && parts[0] == "images" && warns(b, parts[1]):
		d.Reason = Unreadable
	case len(parts) == 3 && parts[0] == "blobs" && (parts[2] == "size" || parts[2] == "mediaType"):
		d.blob = parts[1]
	}
}

// warns tells whether a warning names an image.
func warns(answer Answer, digest string) bool {
	return slices.ContainsFunc(answer.Warnings, func(text string) bool { return strings.Contains(text, digest) })
}

// brief is an answer in a line.
func brief(a Answer) string {
	body := strings.TrimSpace(string(a.Body))
	var status struct{ Message string }
	if json.Unmarshal(a.Body, &status) == nil && status.Message != "" {
		body = status.Message
	}
	if a.ok() {
		return "200"
	}
	const most = 300
	if len(body) > most {
		body = body[:most] + "..."
	}
	return fmt.Sprintf("%d %s", a.Code, body)
}

// atByte is the first byte that differs, with what is around it.
func atByte(a, b []byte) Difference {
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	around := func(body []byte) string {
		const before, after = 20, 40
		return fmt.Sprintf("%q", body[max(0, at-before):min(len(body), at+after)])
	}
	return Difference{Path: fmt.Sprintf("byte %d", at), A: around(a), B: around(b)}
}
