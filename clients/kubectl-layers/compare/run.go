package compare

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strata/clients/kubectl-layers/read"
)

// Options of a comparison.
type Options struct {
	Scope   read.Scope
	Ignored []string // fields of metadata
	// How often a stream that differs is read again, since it may have changed in between, and after how long.
	Retries int
	Pause   time.Duration
}

// Finding is a stream that differs, or that couldn't be compared.
type Finding struct {
	Name        Name
	Differences []Difference
	// Unsettled: the first server's answer changed at each look.
	Unsettled bool
	Failure   string
}

// Expected tells whether there is a reason for all differences.
func (f *Finding) Expected() bool {
	for _, d := range f.Differences {
		if d.Reason == "" {
			return false
		}
	}
	return !f.Unsettled && f.Failure == ""
}

// Report of a comparison.
type Report struct {
	Streams, Equal int
	Findings       []Finding // by name
	Duration       time.Duration
}

// Count of the findings for which `is` holds.
func (r *Report) Count(is func(*Finding) bool) int {
	count := 0
	for i := range r.Findings {
		if is(&r.Findings[i]) {
			count++
		}
	}
	return count
}

// Run compares the streams that either server lists. `note` is told what isn't looked at.
func Run(ctx context.Context, a, b *read.Client, options Options, note func(string)) (*Report, error) {
	began := time.Now()
	names, err := namesOf(ctx, a, b, options.Scope, note)
	if err != nil {
		return nil, err
	}
	report := &Report{Streams: len(names)}
	var mu sync.Mutex
	err = a.Each(ctx, "streams", len(names), func(ctx context.Context, i int) error {
		finding := compare(ctx, a, b, names[i], options)
		mu.Lock()
		defer mu.Unlock()
		if finding == nil {
			report.Equal++
		} else {
			report.Findings = append(report.Findings, *finding)
		}
		return ctx.Err()
	})
	sort.Slice(report.Findings, func(i, j int) bool { return before(report.Findings[i].Name, report.Findings[j].Name) })
	report.Duration = time.Since(began)
	return report, err
}

func before(a, b Name) bool {
	return a.Namespace < b.Namespace || a.Namespace == b.Namespace && a.Stream < b.Stream
}

func namesOf(ctx context.Context, a, b *read.Client, scope read.Scope, note func(string)) ([]Name, error) {
	var names []Name
	known := map[Name]bool{}
	add := func(namespace, stream string) {
		name := Name{namespace, stream}
		if !known[name] {
			known[name] = true
			names = append(names, name)
		}
	}
	if err := a.Names(ctx, scope, add); err != nil {
		return nil, err
	}
	err := b.Names(ctx, scope, add)
	if _, answered := err.(apierrors.APIStatus); err != nil && !answered {
		return nil, fmt.Errorf("the second server: %w", err)
	}
	if err != nil {
		note(fmt.Sprintf("the second server doesn't list its streams, so none that it alone has is found: %v", err))
	}
	return names, nil
}

// compare is nil where the answers are the same.
func compare(ctx context.Context, a, b *read.Client, name Name, options Options) *Finding {
	finding := look(ctx, a, b, name, options)
	for try := 0; try < options.Retries && finding != nil && !finding.Expected(); try++ {
		select {
		case <-time.After(options.Pause):
		case <-ctx.Done():
			return finding
		}
		finding = look(ctx, a, b, name, options)
	}
	return finding
}

// look reads the first server's answer before and after the second one's: only between two that are the same the second
// one is to be judged.
func look(ctx context.Context, a, b *read.Client, name Name, options Options) *Finding {
	first, err := ask(ctx, a, name)
	if err != nil {
		return &Finding{Name: name, Failure: fmt.Sprintf("the first server doesn't answer: %v", err)}
	}
	second, err := ask(ctx, b, name)
	if err != nil {
		return &Finding{Name: name, Failure: fmt.Sprintf("the second server doesn't answer: %v", err)}
	}
	differences := Judge(first, second, options.Ignored)
	if differences == nil {
		return nil
	}
	again, err := ask(ctx, a, name)
	if err == nil && Judge(first, again, nil) != nil && Judge(again, second, options.Ignored) == nil {
		return nil
	}
	settle(ctx, a, name, first, differences)
	finding := &Finding{Name: name, Differences: differences}
	finding.Unsettled = !finding.Expected() && (err != nil || Judge(first, again, nil) != nil)
	return finding
}
