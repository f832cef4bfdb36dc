package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	imagev1 "github.com/openshift/api/image/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"strata/test/rig"
)

const (
	stream = "apiVersion: image.openshift.io/v1\nkind: ImageStream\nmetadata:\n  namespace: ns\n  name: "
	flow   = `{apiVersion: image.openshift.io/v1, kind: ImageStream, metadata: {namespace: ns, name: `
	asJSON = `{"apiVersion":"image.openshift.io/v1","kind":"ImageStream","metadata":{"namespace":"ns","name":"`
)

func annotated(value string) string { return stream + "a\n  annotations:\n    x: " + value + "\n" }

// A form in which people have their documents. Where we don't read what kubectl reads, `ours` says what we do
// instead, and why stands in the name.
type form struct {
	name, text string
	ours       []string // nil: what kubectl reads; each stream with its annotations, in the order of their names
	refused    bool     // by us alone
}

func utf16(text string) string {
	out := "\xff\xfe"
	for _, c := range []byte(text) {
		out += string([]byte{c, 0})
	}
	return out
}

func deep(levels int) string {
	return annotated("b") + "x: " + strings.Repeat("[", levels) + strings.Repeat("]", levels) + "\n"
}

var forms = []form{
	{name: "block style", text: stream + "a\n"},
	{name: "JSON", text: asJSON + "a\"}}\n"},
	{name: "flow style", text: flow + "a}}\n"},
	{name: "flow style over lines, with comments and a last comma", text: "{ # c\n  apiVersion: image.openshift.io/v1, # }\n  kind: 'ImageStream',\n  metadata: {\n    name: a,\n    namespace: ns,\n  },\n}\n"},
	{name: "flow style, a bracket in quotes", text: flow + "a, annotations: {x: 'it''s } here'}}}\n"},
	{name: "flow style, a quote in a word", text: flow + "a, annotations: {x: 5\" disk}}}\n"},
	{name: "flow documents", text: flow + "a}}\n---\n" + flow + "b}}\n"},
	{name: "flow and block documents", text: flow + "a}}\n---\n" + stream + "b\n---\n" + asJSON + "c\"}}\n"},
	{name: "a List in flow style", text: "{apiVersion: v1, kind: List, items: [" + flow + "a}}, " + flow + "b}}]}\n"},
	{name: "JSON with a last comma", text: asJSON + "a\",}}\n"},
	{name: "JSON in single quotes", text: strings.ReplaceAll(asJSON, `"`, "'") + "a'}}\n"},
	{name: "JSON with a string over two lines", text: asJSON + "a\",\"annotations\":{\"x\":\"b\n c\"}}}\n"},
	{name: "JSON with a comment before it", text: "# c\n" + asJSON + "a\"}}\n"},
	{name: "JSON with a comment behind it", text: asJSON + "a\"}} # c\n"},
	{name: "JSON and YAML behind it", text: asJSON + "a\"}}\n---\n" + stream + "b\n"},
	{name: "JSON and YAML behind it without a separator", text: asJSON + "a\"}}\n" + stream + "b\n"},
	{name: "YAML and JSON behind it", text: stream + "b\n---\n" + asJSON + "a\"}}\n"},
	{name: "a stream of JSON", text: asJSON + "a\"}}\n" + asJSON + "b\"}}\n"},
	{name: "JSON run together", text: asJSON + "a\"}}" + asJSON + "b\"}}"},
	{name: "JSON with separators", text: "---\n" + asJSON + "a\"}}\n---\n" + asJSON + "b\"}}\n---\n"},
	{name: "JSON indented", text: "\n  " + strings.ReplaceAll(asJSON, ",", ",\n    ") + "a\"\n}\n}\n"},
	{name: "a list at the top", text: "[" + asJSON + "a\"}}]\n"},
	{name: "a list at the top in block style", text: "- " + flow + "a}}\n"},
	{name: "a byte order mark", text: "\xef\xbb\xbf" + stream + "a\n"},
	{name: "a byte order mark before JSON", text: "\xef\xbb\xbf" + asJSON + "a\"}}\n"},
	{name: "CRLF", text: strings.ReplaceAll(stream+"a\n---\n"+stream+"b\n", "\n", "\r\n")},
	{name: "UTF-16, which kubectl cuts into lines of bytes", text: utf16(stream + "a\n"), ours: []string{"a"}},
	{name: "no last line feed", text: stream + "a"},
	{name: "nothing", text: ""},
	{name: "comments alone", text: "# a\n---\n# b\n"},
	{name: "empty documents", text: "---\n---\n" + stream + "a\n---\n\n---\n"},
	{name: "a separator with a comment", text: "--- # first\n" + stream + "a\n--- # second\n" + stream + "b\n"},
	{name: "a separator with blanks", text: "---  \n" + stream + "a\n---\t\n" + stream + "b\n"},
	{name: "the end of a document", text: stream + "a\n...\n---\n" + stream + "b\n...\n"},
	{name: "a directive, which kubectl takes for a document", text: "%YAML 1.1\n---\n" + stream + "a\n", ours: []string{"a"}},
	{name: "a document null", text: "null\n---\n" + stream + "a\n"},
	{name: "an anchor", text: "apiVersion: image.openshift.io/v1\nkind: ImageStream\nmetadata: &m\n  name: a\n  namespace: &n ns\n"},
	{name: "an alias", text: stream + "&n a\n  annotations: {x: *n}\n"},
	{name: "an alias of a map", text: stream + "a\n  labels: &l {k: v}\n  annotations: *l\n"},
	{name: "an anchor given twice", text: stream + "a\n  labels: {k: &v one, l: &v two}\n  annotations: {x: *v}\n"},
	{name: "an alias of nothing", text: annotated("*n")},
	{name: "an alias of another document", text: stream + "&n a\n---\n" + annotated("*n")},
	{name: "an alias in itself", text: stream + "a\nx: &x [*x]\n"},
	{name: "merged keys", text: stream + "a\n  labels: &l {k: v, x: w}\n  annotations:\n    <<: *l\n    x: other\n"},
	{name: "merged keys behind others", text: stream + "a\n  labels: &l {k: v, x: w}\n  annotations:\n    x: other\n    <<: *l\n"},
	{name: "merged keys of several", text: stream + "a\n  annotations:\n    <<: [{x: one, w: one}, {x: two, z: two}]\n"},
	{name: "merged keys of a word", text: stream + "a\n  annotations:\n    <<: word\n"},
	{name: "merged keys in quotes", text: stream + "a\n  annotations:\n    '<<': word\n"},
	{name: "many laughs", text: annotated("b") + "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n"},
	{name: "a key twice", text: stream + "a\n  annotations: {x: one, x: two}\n"},
	{name: "a key twice in JSON", text: asJSON + "a\",\"annotations\":{\"x\":\"one\",\"x\":\"two\"}}}\n"},
	{name: "a map twice", text: stream + "a\n  annotations: {x: one}\n  annotations: {z: two}\n"},
	{name: "yes in quotes", text: annotated(`"yes"`)},
	{name: "yes", text: annotated("yes")},
	{name: "a number in quotes", text: annotated("'010'")},
	{name: "a number", text: annotated("10")},
	{name: "a number as a string", text: annotated("!!str 010")},
	{name: "a string as a number", text: annotated("b") + "x: !!int b\n"},
	{name: "a null annotation", text: annotated("~")},
	{name: "keys that are booleans and numbers", text: stream + "a\n  annotations: {yes: a, n: b, 010: c, 1e3: d, 0x1F: e, 'off': f}\n"},
	{name: "a null key", text: stream + "a\n  annotations: {~: a}\n"},
	{name: "a key that is a list", text: stream + "a\n  annotations:\n    ? [b]\n    : c\n"},
	{name: "a key with a mark", text: stream + "a\n  annotations:\n    ? b\n    : c\n"},
	{name: "a time", text: annotated("2001-01-01")},
	{name: "a time with hours", text: annotated("2001-01-01T00:00:00Z")},
	{name: "a version", text: annotated("1.2.3")},
	{name: "a colon", text: annotated("a:b")},
	{name: "a number of base 60", text: annotated("12:30:45")},
	{name: "1e3 as a string", text: annotated("'1e3'")},
	{name: "literal block", text: annotated("|\n      one\n      two")},
	{name: "literal block without the last line feed", text: annotated("|-\n      one\n\n      two\n")},
	{name: "folded block", text: annotated(">\n      one\n      two\n\n      three")},
	{name: "block with a separator in it", text: annotated("|\n      one\n      ---\n      two")},
	{name: "a plain scalar over two lines", text: annotated("one\n      two")},
	{name: "escapes", text: annotated(`"a\tb\u00e9\x41\n"`)},
	{name: "an unknown tag", text: annotated("!mine b")},
	{name: "an unprintable character", text: annotated("a\x01b")},
	{name: "what isn't UTF-8", text: annotated("a\xffb")},
	{name: "indented by a tab", text: "apiVersion: image.openshift.io/v1\nkind: ImageStream\nmetadata:\n\tname: a\n"},
	{name: "a tab behind a colon", text: "apiVersion:\timage.openshift.io/v1\nkind:\tImageStream\nmetadata:\n  name:\ta\n  namespace: ns\n"},
	{name: "a tab at the end of a line", text: stream + "a\t\n"},
	{name: "no blank behind a colon", text: stream + "a\nspec:{}\n"},
	{name: "an indentation that fits nothing", text: stream + "a\n   labels: {}\n"},
	{name: "a bracket that isn't closed", text: stream + "a\nspec: {tags: [\n"},
	{name: "a quote that isn't closed", text: annotated(`"b`)},
	{name: "null lists and maps", text: stream + "a\n  labels: null\n  annotations:\n  ownerReferences: ~\n  finalizers: null\nspec:\n  tags: null\nstatus: null\n"},
	{name: "a List without items", text: "apiVersion: v1\nkind: List\nitems: null\n---\n" + stream + "a\n"},
	{name: "a List of nothing", text: "apiVersion: v1\nkind: List\nitems: []\n---\n" + stream + "a\n"},
	{name: "a JSON List without items", text: `{"apiVersion":"v1","kind":"List","items":null}`},
	{name: "a typed list without items", text: "apiVersion: image.openshift.io/v1\nkind: ImageStreamList\nitems: null\nmetadata: {}\n"},
	{name: "a List", text: "apiVersion: v1\nkind: List\nmetadata: {}\nitems:\n- " + strings.ReplaceAll(stream, "\n", "\n  ") + "a\n- " + strings.ReplaceAll(stream, "\n", "\n  ") + "b\n"},
	{name: "a List whose items share an anchor", text: "apiVersion: v1\nkind: List\nitems:\n- apiVersion: image.openshift.io/v1\n  kind: ImageStream\n  metadata: {name: a, namespace: &n ns}\n- apiVersion: image.openshift.io/v1\n  kind: ImageStream\n  metadata: {name: b, namespace: *n}\n"},
	{name: "a List in a List", text: "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - " + flow + "a}}\n"},
	{name: "a JSON List", text: `{"apiVersion":"v1","kind":"List","items":[` + asJSON + `a"}},` + asJSON + `b"}}]}`},
	{name: "lists a hundred levels deep", text: deep(100)},
	{name: "lists 9000 levels deep: ours may have a thousand", text: deep(9000), refused: true},
	{name: "lists 20000 levels deep", text: deep(20000)},
}

// What kubectl's reader (cli-runtime's StreamVisitor) makes of a text.
func readAsKubectl(text string) (read []string, err error) {
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var raw runtime.RawExtension
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			sort.Strings(read)
			return read, nil
		} else if err != nil {
			return read, err
		}
		raw.Raw = bytes.TrimSpace(raw.Raw)
		if len(raw.Raw) == 0 || bytes.Equal(raw.Raw, []byte("null")) {
			continue
		}
		streams, err := streamsOf(raw.Raw)
		if err != nil {
			return read, err
		}
		read = append(read, streams...)
	}
}

func streamsOf(raw []byte) ([]string, error) {
	var list struct {
		Kind  string
		Items []json.RawMessage
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	if strings.HasSuffix(list.Kind, "List") {
		var all []string
		for _, item := range list.Items {
			one, err := streamsOf(item)
			if err != nil {
				return nil, err
			}
			all = append(all, one...)
		}
		return all, nil
	}
	var one imagev1.ImageStream
	if err := json.Unmarshal(raw, &one); err != nil {
		return nil, err
	}
	return []string{describe(&one)}, nil
}

func describe(one *imagev1.ImageStream) string {
	if len(one.Annotations) == 0 {
		return one.Name
	}
	text, _ := json.Marshal(one.Annotations)
	return one.Name + " " + string(text)
}

// What load makes of it: the streams that are there afterwards.
func readAsLoad(t *testing.T, text string) (read []string, said string, err error) {
	file, dir := filepath.Join(t.TempDir(), "form.yaml"), filepath.Join(t.TempDir(), "store")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tool := rig.Strata(t, "strata-storage")
	loaded, err := exec.Command(tool, "load", "--data-dir="+dir, file).CombinedOutput()
	dumped, dumpErr := exec.Command(tool, "dump", "--data-dir="+dir, "-o", "json").Output()
	if dumpErr != nil {
		t.Fatalf("dump: %v", dumpErr)
	}
	read, dumpErr = streamsOf(dumped)
	if dumpErr != nil {
		t.Fatalf("%v: %s", dumpErr, dumped)
	}
	return read, string(loaded), err
}

// What people have in their files is read as kubectl reads it: the same streams from what both take, and an error
// with the line where kubectl has one.
func TestLoadReadsWhatKubectlReads(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			want, wantErr := readAsKubectl(f.text)
			got, said, gotErr := readAsLoad(t, f.text)
			if os.Getenv("STRATA_SHOW") != "" {
				fmt.Printf("== %s\n   kubectl %q %v\n   load    %q %v %s\n", f.name, want, wantErr, got, gotErr, said)
			}
			if f.ours != nil {
				want, wantErr = f.ours, nil
			}
			refused := wantErr != nil || f.refused
			if refused != (gotErr != nil) {
				t.Errorf("kubectl: %v; load: %s", wantErr, said)
			}
			if refused && !strings.Contains(said, "form.yaml:") {
				t.Errorf("no line is named: %s", said)
			}
			if !refused && fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("kubectl %q, load %q: %s", want, got, said)
			}
		})
	}
}
