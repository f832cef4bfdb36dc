package cluster

import (
	"fmt"
	"net/http"
	"strings"

	"strata/test/history"
)

// A verdict is what one client was answered about one resource.
type verdict struct {
	lists, pages, watches, events, bookmarks, gone int

	gaps    []history.Gap // what lists after the first one jumped over
	highest int64         // revision up to which everything was told
}

func (v verdict) String() string {
	return fmt.Sprintf("%d lists in %d pages, %d watches, %d events, %d bookmarks, %d times gone", v.lists, v.pages,
		v.watches, v.events, v.bookmarks, v.gone)
}

// A judge goes through a client's answers about one resource, in the order in which they were asked for.
type judge struct {
	verdict
	timeline history.Timeline
	open     map[string]history.List // lists that go on, by their tokens
	wrong    []string
}

// about are the answers about a resource.
func (r *recorder) about(resource string) []*answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	var answers []*answer
	for _, a := range r.answers {
		if name, _ := history.ResourceOf(a.target.Path); name == resource {
			answers = append(answers, a)
		}
	}
	return answers
}

// judge says what is wrong in what the client was told about a resource.
func (r *recorder) judge(resource string, timeline history.Timeline) (verdict, error) {
	j := &judge{timeline: timeline, open: map[string]history.List{}}
	answers := r.about(resource)
	for i, a := range answers {
		if err := j.answer(a); err != nil {
			j.wrong = append(j.wrong, fmt.Sprintf("answer %d to %s: %v", i, a.target.RequestURI(), err))
		}
	}
	if len(answers) != 0 {
		if end := timeline.Selected(answers[0].target).Last(); j.highest < end {
			j.wrong = append(j.wrong, fmt.Sprintf("all ended at revision %d, before %d", j.highest, end))
		}
	}
	if len(j.wrong) == 0 {
		return j.verdict, nil
	}
	return j.verdict, fmt.Errorf("%s was told wrong things: %s", r.name, strings.Join(j.wrong, "\n"))
}

func (j *judge) answer(a *answer) error {
	if a.code != http.StatusOK {
		if a.code == http.StatusGone {
			j.gone++
		}
		return nil
	}
	body, err := a.bytes()
	if err == nil && history.IsWatch(a.target) {
		return j.watch(a, body)
	}
	var list history.List
	if err == nil {
		list, err = history.ParseList(body)
	}
	if err == nil {
		return j.list(a, list)
	}
	if a.whole {
		return err
	}
	return nil // its client knows that it isn't whole, too
}

func (j *judge) list(a *answer, list history.List) error {
	query := a.target.Query()
	j.pages++
	if token := query.Get("continue"); token != "" {
		before, ok := j.open[token]
		if !ok {
			return fmt.Errorf("no page has this token")
		}
		if before.Revision != list.Revision {
			return fmt.Errorf("a page of revision %d after one of %d", list.Revision, before.Revision)
		}
		list.Objects = append(before.Objects, list.Objects...)
	} else if oldest := a.oldest(); list.Revision < oldest {
		return fmt.Errorf("a list of revision %d is older than %d", list.Revision, oldest)
	}
	if list.Continue != "" {
		j.open[list.Continue] = list
		return nil
	}
	j.lists++
	if err := j.timeline.Selected(a.target).CheckList(list); err != nil {
		return err
	}
	j.jump(list.Revision)
	return nil
}

// jump: the client was told all that is there at a revision, and not what changed until then.
func (j *judge) jump(revision int64) {
	if j.highest != 0 {
		j.gaps = append(j.gaps, history.Gap{From: j.highest, To: revision})
	}
	j.highest = max(j.highest, revision)
}

func (j *judge) watch(a *answer, body []byte) error {
	j.watches++
	events, cut, err := history.ParseEvents(a.headers.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	if cut && a.whole {
		return fmt.Errorf("its end is in the middle of an event")
	}
	watch := history.Watch{Events: events}
	watch.From, watch.Initial = history.Asked(a.target.Query())
	for _, event := range events {
		switch {
		case event.Type == "BOOKMARK":
			j.bookmarks++
			if event.InitialEnd {
				j.jump(event.Revision)
			}
		case event.Type == "ERROR" && event.Code == http.StatusGone:
			j.gone++
		case event.Type == "ERROR":
			return fmt.Errorf("%d %s", event.Code, event.Message)
		default:
			j.events++
		}
	}
	upTo, err := j.timeline.Selected(a.target).CheckWatch(watch)
	j.highest = max(j.highest, upTo)
	return err
}
