package cmd

import (
	"fmt"
	"sort"
	"time"

	"strata/clients/kubectl-layers/compare"
	"strata/clients/kubectl-layers/view"
)

// show prints the differences in full, since none fits into a table, or objects.
func (k *compareCommand) show(report *compare.Report) error {
	if k.print.Output != "" && k.print.Output != "wide" {
		return k.print.Print(k.screen, objectsOf(report))
	}
	for i := range report.Findings {
		f := &report.Findings[i]
		if f.Expected() && !k.expected {
			continue
		}
		style, what := view.Bad, "differs"
		switch {
		case f.Expected():
			style, what = view.Dim, "differs on purpose"
		case f.Failure != "":
			style, what = view.Warn, f.Failure
		case f.Unsettled:
			style, what = view.Warn, "changes all the time, so it can't be compared"
		}
		k.screen.Line(style, "%s/%s  %s", f.Name.Namespace, f.Name.Stream, what)
		for _, d := range f.Differences {
			path := "  " + d.Path
			if d.Reason != "" {
				path += "  (" + d.Reason + ")"
			}
			k.screen.Line(view.Plain, "%s\n    first   %s\n    second  %s", path, d.A, d.B)
		}
	}
	if !k.print.NoHeaders {
		k.summarize(report)
	}
	return nil
}

func (k *compareCommand) summarize(report *compare.Report) {
	expected := report.Count((*compare.Finding).Expected)
	failed := report.Count(func(f *compare.Finding) bool { return f.Failure != "" || f.Unsettled })
	different := len(report.Findings) - expected - failed
	fmt.Fprintf(k.screen.Out, "%s compared: %d equal, %d different on purpose, %d different",
		view.Count(report.Streams, "stream"), report.Equal, expected, different)
	if failed != 0 {
		fmt.Fprintf(k.screen.Out, ", %d not comparable", failed)
	}
	fmt.Fprintln(k.screen.Out)
	// Of the summary what differs from run to run is for who watches.
	fmt.Fprintf(k.screen.ErrOut, "in %s\n", report.Duration.Round(10*time.Millisecond))
	reasons := map[string]int{}
	for i := range report.Findings {
		for _, d := range report.Findings[i].Differences {
			if d.Reason != "" {
				reasons[d.Reason]++
			}
		}
	}
	var lines []string
	for reason, count := range reasons {
		lines = append(lines, fmt.Sprintf("  %d × %s", count, reason))
	}
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Fprintln(k.screen.Out, line)
	}
}

func objectsOf(report *compare.Report) *view.Result {
	result := &view.Result{}
	for i := range report.Findings {
		f := &report.Findings[i]
		var differences []any
		for _, d := range f.Differences {
			one := map[string]any{"path": d.Path, "first": d.A, "second": d.B}
			if d.Reason != "" {
				one["reason"] = d.Reason
			}
			differences = append(differences, one)
		}
		fields := map[string]any{"expected": f.Expected(), "unsettled": f.Unsettled, "failure": view.Text(f.Failure)}
		if differences != nil {
			fields["differences"] = differences
		}
		result.Rows = append(result.Rows, view.Row{Object: view.Object{Kind: "Difference", Namespace: f.Name.Namespace,
			Name: f.Name.Stream, Fields: fields}})
	}
	return result
}
