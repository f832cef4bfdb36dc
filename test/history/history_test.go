package history

import (
	"strings"
	"testing"
)

// a is created, changed, changed; b is created, deleted, created. Revisions 14 and 17 were somebody else's.
var timeline = Timeline{
	{Revision: 10, Key: "n/a", Mark: 1, Created: true},
	{Revision: 11, Key: "n/b", Mark: 2, Created: true},
	{Revision: 12, Key: "n/a", Mark: 3},
	{Revision: 13, Key: "n/b", Mark: 2, Deleted: true},
	{Revision: 15, Key: "n/b", Mark: 4, Created: true},
	{Revision: 16, Key: "n/a", Mark: 5},
}

func event(kind, key string, revision, mark int64) Event {
	return Event{Type: kind, Seen: Seen{key, Object{revision, mark}}}
}

func bookmark(revision int64) Event { return event("BOOKMARK", "", revision, 0) }

var (
	a10 = event("ADDED", "n/a", 10, 1)
	b11 = event("ADDED", "n/b", 11, 2)
	a12 = event("MODIFIED", "n/a", 12, 3)
	b13 = event("DELETED", "n/b", 13, 2)
	b15 = event("ADDED", "n/b", 15, 4)
	a16 = event("MODIFIED", "n/a", 16, 5)
)

func added(e Event) Event {
	e.Type = "ADDED"
	return e
}

func initialEnd(revision int64) Event {
	e := bookmark(revision)
	e.InitialEnd = true
	return e
}

// expect is that an error says so; "": that there is none.
func expect(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestWatchesAreJudged(t *testing.T) {
	for name, one := range map[string]struct {
		watch Watch
		want  string
	}{
		"all":                  {Watch{From: 9, Events: []Event{a10, b11, a12, b13, b15, a16}}, ""},
		"from the middle":      {Watch{From: 12, Events: []Event{b13, b15}}, ""},
		"nothing yet":          {Watch{From: 12}, ""},
		"bookmarks":            {Watch{From: 11, Events: []Event{bookmark(11), a12, b13, bookmark(14), b15, a16, bookmark(17)}}, ""},
		"an error at the end":  {Watch{From: 11, Events: []Event{a12, {Type: "ERROR", Code: 410}}}, ""},
		"an error before more": {Watch{From: 11, Events: []Event{{Type: "ERROR"}, a12}}, "after an error"},
		"one is missing":       {Watch{From: 9, Events: []Event{a10, a12}}, "event 1 is"},
		"the first is missing": {Watch{From: 9, Events: []Event{b11}}, "event 0 is"},
		"twice":                {Watch{From: 9, Events: []Event{a10, a10}}, "after revision 10"},
		"before its beginning": {Watch{From: 11, Events: []Event{b11}}, "after revision 11"},
		"out of order":         {Watch{From: 9, Events: []Event{b11, a10}}, "event 0 is"},
		"invented":             {Watch{From: 16, Events: []Event{event("MODIFIED", "n/a", 17, 5)}}, "where nothing changed"},
		"another content":      {Watch{From: 11, Events: []Event{event("MODIFIED", "n/a", 12, 1)}}, "event 0 is"},
		"another type":         {Watch{From: 11, Events: []Event{added(a12)}}, "event 0 is"},
		"deleted as created":   {Watch{From: 12, Events: []Event{event("DELETED", "n/b", 11, 2)}}, "after revision 12"},
		"a bookmark too far":   {Watch{From: 12, Events: []Event{bookmark(13)}}, "revision 13 (n/b) is missing"},
		"a bookmark of before": {Watch{From: 12, Events: []Event{b13, bookmark(12)}}, "a bookmark of 12 after"},

		"initial":                  {Watch{Events: []Event{added(a12), b11, b13, b15}}, ""},
		"initial, with a bookmark": {Watch{Events: []Event{added(a12), bookmark(14), b15}}, ""},
		"initial, then a creation": {Watch{Events: []Event{added(a12), b15, a16}}, ""},
		"initial, all":             {Watch{Events: []Event{added(a16), b15}}, ""},
		"initial, mixed":           {Watch{Events: []Event{a10, b15, a16}}, "state of no revision"},
		"initial, one is missing":  {Watch{Events: []Event{added(a12), b13}}, "state of no revision"},
		"initial, a change is":     {Watch{Events: []Event{a10, b11, b13}}, "state of no revision"},
		"initial, twice":           {Watch{Events: []Event{added(a16), added(a16)}}, "added twice"},
		"marked":                   {Watch{Initial: true, Events: []Event{added(a12), initialEnd(14), b15}}, ""},
		"marked, not whole":        {Watch{Initial: true, Events: []Event{added(a12)}}, ""},
		"marked, one is missing":   {Watch{Initial: true, Events: []Event{added(a12), initialEnd(12)}}, "n/b of revision 11 is missing"},
		"marked, one too many":     {Watch{Initial: true, Events: []Event{added(a12), b11, initialEnd(14)}}, "should not be there"},
		"marked, old":              {Watch{Initial: true, Events: []Event{a10, b11, initialEnd(14)}}, "is {10 1} and should be {12 3}"},
		"marked, then one is lost": {Watch{Initial: true, Events: []Event{added(a12), initialEnd(14), a16}}, "event 1 is"},
		"marked, then one comes twice": {Watch{Initial: true, Events: []Event{added(a12), initialEnd(14), b15, b15}},
			"after revision 15"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := timeline.CheckWatch(one.watch)
			expect(t, err, one.want)
		})
	}
}

func TestAWatchTellsHowFarItCame(t *testing.T) {
	for want, events := range map[int64][]Event{
		11: nil, 12: {a12}, 14: {a12, b13, bookmark(14)}, 13: {a12, b13, {Type: "ERROR", Code: 410}}} {
		if got, err := timeline.CheckWatch(Watch{From: 11, Events: events}); err != nil || got != want {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
}

func TestListsAreJudged(t *testing.T) {
	for name, one := range map[string]struct {
		list List
		want string
	}{
		"right":          {List{Revision: 14, Objects: []Seen{a12.Seen}}, ""},
		"empty":          {List{Revision: 9}, ""},
		"missing":        {List{Revision: 12, Objects: []Seen{a12.Seen}}, "n/b of revision 11 is missing"},
		"too many":       {List{Revision: 13, Objects: []Seen{a12.Seen, b11.Seen}}, "should not be there"},
		"old":            {List{Revision: 13, Objects: []Seen{a10.Seen}}, "is {10 1} and should be {12 3}"},
		"new":            {List{Revision: 11, Objects: []Seen{a12.Seen, b11.Seen}}, "should be {10 1}"},
		"twice":          {List{Revision: 14, Objects: []Seen{a12.Seen, a12.Seen}}, "twice"},
		"in wrong order": {List{Revision: 12, Objects: []Seen{b11.Seen, a12.Seen}}, "comes after"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, timeline.CheckList(one.list), one.want) })
	}
}

func TestObjectsAreJudged(t *testing.T) {
	for name, one := range map[string]struct {
		key    string
		oldest int64
		got    *Object
		want   string
	}{
		"as it was":             {"n/a", 12, &Object{12, 3}, ""},
		"as it became":          {"n/a", 12, &Object{16, 5}, ""},
		"older than it may be":  {"n/a", 12, &Object{10, 1}, "as at no revision from 12 on"},
		"another content":       {"n/a", 12, &Object{12, 4}, "as at no revision"},
		"gone meanwhile":        {"n/b", 12, nil, ""},
		"there again":           {"n/b", 13, &Object{15, 4}, ""},
		"was there always":      {"n/a", 10, nil, "n/a is missing"},
		"was there and is gone": {"n/b", 13, &Object{11, 2}, "as at no revision"},
		"never was":             {"n/c", 9, nil, ""},
		"nobody made it":        {"n/c", 9, &Object{11, 1}, "as at no revision"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, timeline.CheckObject(one.key, one.oldest, one.got), one.want) })
	}
}

func TestWhatIsForgottenChangesNothingLater(t *testing.T) {
	everything := func(string, int64) bool { return true }
	odd := func(_ string, mark int64) bool { return Half(mark) == "odd" }
	for revision := int64(9); revision <= 17; revision++ {
		for _, matches := range []func(string, int64) bool{everything, odd} {
			whole, shorter := timeline.Select(matches), timeline.Since(revision).Select(matches)
			for at := revision; at <= 17; at++ {
				if err := whole.At(at).Difference(shorter.At(at)); err != nil {
					t.Errorf("of what was forgotten before %d, at %d: %v", revision, at, err)
				}
				if got, want := shorter.After(at), whole.After(at); len(got) != len(want) {
					t.Errorf("after %d: %v, want %v", at, got, want)
				}
			}
		}
	}
	if got := timeline.Since(16); len(got) != 2 {
		t.Errorf("%v is kept", got)
	}
}

func TestWhoNeverWasThereIsKnown(t *testing.T) {
	for _, one := range []struct {
		key      string
		revision int64
		want     bool
	}{{"n/b", 12, false}, {"n/b", 14, false}, {"n/b", 16, false}, {"n/c", 9, true}} {
		if got := timeline.NeverSince(one.key, one.revision); got != one.want {
			t.Errorf("%s since %d: %v", one.key, one.revision, got)
		}
	}
	gone := timeline[:4]
	if !gone.NeverSince("n/b", 14) || gone.NeverSince("n/b", 12) {
		t.Error("n/b was there until 13")
	}
}

func TestSelectionsHaveEdges(t *testing.T) {
	odd := timeline.Select(func(key string, mark int64) bool { return Half(mark) == "odd" && key == "n/a" || mark == 2 })
	want := Timeline{
		{Revision: 10, Key: "n/a", Mark: 1, Created: true},
		{Revision: 11, Key: "n/b", Mark: 2, Created: true},
		{Revision: 12, Key: "n/a", Mark: 3},
		{Revision: 13, Key: "n/b", Mark: 2, Deleted: true},
		{Revision: 16, Key: "n/a", Mark: 5},
	}
	even := timeline.Select(func(_ string, mark int64) bool { return mark == 1 || mark == 5 })
	leaving := Timeline{
		{Revision: 10, Key: "n/a", Mark: 1, Created: true},
		{Revision: 12, Key: "n/a", Mark: 1, Deleted: true},
		{Revision: 16, Key: "n/a", Mark: 5, Created: true},
	}
	for _, one := range []struct{ got, want Timeline }{{odd, want}, {even, leaving}} {
		if len(one.got) != len(one.want) {
			t.Fatalf("got %v", one.got)
		}
		for i := range one.want {
			if one.got[i] != one.want[i] {
				t.Errorf("got %v, want %v", one.got[i], one.want[i])
			}
		}
	}
}

func TestInitialEventsTellHowFarTheyCame(t *testing.T) {
	for _, one := range []struct {
		events []Event
		want   int64
	}{
		{[]Event{added(a16), b15}, 16},
		{[]Event{added(a16)}, 0}, // not all, of no revision that anybody could name
		{[]Event{added(a12), b15}, 15},
		{[]Event{added(a12), b15, a16}, 16},
	} {
		if got, err := timeline.CheckWatch(Watch{Events: one.events}); err != nil || got != one.want {
			t.Errorf("got %d, %v, want %d", got, err, one.want)
		}
	}
}

// lines of a client that was told these, and held the end's state.
func lines(told ...Entry) []Entry {
	return append(told, Entry{Op: "have", Key: "n/a", Revision: 16, Mark: 5}, Entry{Op: "have", Key: "n/b", Revision: 15, Mark: 4})
}

func TestLogsAreJudged(t *testing.T) {
	says := func(op string, e Event) Entry { return Entry{Op: op, Key: e.Key, Revision: e.Revision, Mark: e.Mark} }
	gap := []Gap{{11, 13}}
	for name, one := range map[string]struct {
		log  []Entry
		gaps []Gap
		want string
	}{
		"all": {lines(says("add", a10), says("add", b11), says("update", a12), says("delete", b13), says("add", b15),
			says("update", a16)), nil, ""},
		"keys in any order": {lines(says("add", b11), says("delete", b13), says("add", b15), says("add", a10),
			says("update", a12), says("update", a16)), nil, ""},
		"from a later list":         {lines(says("add", a16), says("add", b15)), nil, ""},
		"listed again":              {lines(says("add", a12), says("update", a12), says("add", b15), says("update", a16)), gap, ""},
		"gone when listed":          {lines(says("add", a12), says("add", b11), says("gone", b11), says("add", b15), says("update", a16)), gap, ""},
		"skipped when listed":       {lines(says("add", a10), says("add", b15), says("update", a16)), gap, ""},
		"begun again":               {lines(says("add", a10), Entry{Op: "reset"}, says("add", b15), says("add", a16)), nil, ""},
		"skipped":                   {lines(says("add", a10), says("add", b15), says("update", a16)), nil, "revision 12 is missing"},
		"skipped elsewhere":         {lines(says("add", a10), says("add", b15), says("update", a16)), []Gap{{12, 13}}, "revision 12 is missing"},
		"a deletion is skipped":     {lines(says("add", b11), says("update", b15), says("add", a16)), nil, "revision 13 is missing"},
		"twice":                     {lines(says("add", a16), says("update", a16), says("add", b15)), nil, "told twice"},
		"twice in one gap":          {lines(says("add", a12), says("update", a12), says("update", a12)), gap, "told twice"},
		"added twice":               {lines(says("add", a16), says("add", a16)), gap, "there already"},
		"gone without a list":       {lines(says("add", b11), says("gone", b11)), nil, "without a list"},
		"gone with another content": {lines(says("add", b11), Entry{Op: "gone", Key: "n/b", Revision: 11, Mark: 1}), gap, "known was"},
		"back":                      {lines(says("add", a16), says("update", a12)), gap, "told before"},
		"back after a deletion":     {lines(says("add", b11), says("delete", b13), says("add", b11)), gap, "told before"},
		"updated before":            {lines(says("update", a16)), nil, "isn't there"},
		"deleted before":            {lines(says("delete", b13)), nil, "isn't there"},
		"invented":                  {lines(Entry{Op: "add", Key: "n/a", Revision: 14, Mark: 3}), nil, "nothing changed then"},
		"another content":           {lines(Entry{Op: "add", Key: "n/a", Revision: 16, Mark: 4}), nil, "it should be"},
		"the end isn't told":        {lines(says("add", a12), says("add", b15)), nil, "until the end"},
		"the end isn't held":        {[]Entry{says("add", a16), says("add", b15)}, nil, "held at the end"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, timeline.CheckLog(one.log, one.gaps), one.want) })
	}
}
