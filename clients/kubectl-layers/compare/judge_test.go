package compare

import (
	"strings"
	"testing"
)

const whole = `{"kind":"ImageStreamLayers","metadata":{"name":"app","resourceVersion":"7"},"blobs":{"sha256:a":{"size":5,"mediaType":"m"}},"images":{"sha256:i":{"layers":["sha256:a"]}}}
`

func answer(code int, body string, warnings ...string) Answer {
	return Answer{Code: code, Body: []byte(body), Warnings: warnings}
}

func changed(old, new string) string { return strings.Replace(whole, old, new, 1) }

func TestAnswersAreJudgedByTheirBytes(t *testing.T) {
	const invalid = `{"kind":"Status","message":"no config","code":422}`
	for _, c := range []struct {
		name    string
		a, b    Answer
		ignored []string
		want    string // path first second (reason), one a line
	}{
		{"equal", answer(200, whole), answer(200, whole), nil, ""},
		{"equal errors", answer(404, "gone"), answer(404, "gone"), nil, ""},
		{"one byte", answer(200, whole), answer(200, changed(`"size":5`, `"size":6`)), nil, "/blobs/sha256:a/size 5 6"},
		{"a byte of a name", answer(200, whole), answer(200, changed(`["sha256:a"]`, `["sha256:b"]`)), nil,
			`/images/sha256:i/layers/0 "sha256:a" "sha256:b"`},
		{"absent", answer(200, whole), answer(200, changed(`"size":5,`, ``)), nil, "/blobs/sha256:a/size 5 (absent)"},
		{"only there", answer(200, changed(`"size":5,`, ``)), answer(200, whole), nil, "/blobs/sha256:a/size (absent) 5"},
		{"another length", answer(200, whole), answer(200, changed(`["sha256:a"]`, `["sha256:a","b"]`)), nil,
			`/images/sha256:i/layers ["sha256:a"] ["sha256:a","b"]`},
		{"white space", answer(200, whole), answer(200, strings.TrimSpace(whole)), nil,
			`byte 170 "ers\":[\"sha256:a\"]}}}\n" "ers\":[\"sha256:a\"]}}}"`},
		{"order", answer(200, `{"a":1,"b":2}`), answer(200, `{"b":2,"a":1}`), nil,
			`byte 2 "{\"a\":1,\"b\":2}" "{\"b\":2,\"a\":1}"`},
		{"a number's digits", answer(200, `{"a":1.0}`), answer(200, `{"a":1}`), nil, "/a 1.0 1"},
		{"revision", answer(200, whole), answer(200, changed(`"7"`, `"8"`)), nil, `/metadata/resourceVersion "7" "8"`},
		{"ignored revision", answer(200, whole), answer(200, changed(`"7"`, `"8"`)), []string{"resourceVersion"}, ""},
		{"status", answer(200, whole), answer(404, `{"kind":"Status","message":"not found"}`), nil, "status 200 404 not found"},
		{"not JSON", answer(500, "oh no"), answer(500, "oh yes"), nil, `byte 3 "oh no" "oh yes"`},
		{"refused", answer(422, invalid), answer(200, whole, "image sha256:i has no config"), nil,
			"status 422 no config 200 (" + Refused + ")"},
		{"refused without a warning", answer(422, invalid), answer(200, whole), nil, "status 422 no config 200"},
		{"unreadable", answer(200, whole), answer(200, changed(`{"layers":["sha256:a"]}`, `{"imageMissing":true}`),
			"image sha256:i can't be read"), nil,
			"/images/sha256:i/imageMissing (absent) true (" + Unreadable + ")\n" +
				`/images/sha256:i/layers ["sha256:a"] (absent) (` + Unreadable + ")"},
		{"missing without a warning", answer(200, whole), answer(200, changed(`{"layers":["sha256:a"]}`, `{}`),
			"image sha256:other can't be read"), nil, `/images/sha256:i/layers ["sha256:a"] (absent)`},
	} {
		var lines []string
		for _, d := range Judge(c.a, c.b, c.ignored) {
			line := d.Path + " " + d.A + " " + d.B
			if d.Reason != "" {
				line += " (" + d.Reason + ")"
			}
			lines = append(lines, line)
		}
		if got := strings.Join(lines, "\n"); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}
