package view

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/kubectl/pkg/cmd/get"
)

// Flags of how a result is printed, as `kubectl get` has them.
type Flags struct {
	Output    string
	NoHeaders bool
	SortBy    string
	// Unsortable results (trees) have no --sort-by.
	Unsortable bool

	json      *genericclioptions.JSONYamlPrintFlags
	name      *genericclioptions.NamePrintFlags
	templates *genericclioptions.KubeTemplatePrintFlags
	columns   *get.CustomColumnsPrintFlags
}

// NewFlags are the flags' defaults.
func NewFlags() *Flags {
	return &Flags{json: genericclioptions.NewJSONYamlPrintFlags(), name: genericclioptions.NewNamePrintFlags(""),
		templates: genericclioptions.NewKubeTemplatePrintFlags(), columns: get.NewCustomColumnsPrintFlags()}
}

// AddTo registers them.
func (f *Flags) AddTo(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.Output, "output", "o", "", "Output format. One of: ("+strings.Join(f.formats(), ", ")+").")
	cmd.Flags().BoolVar(&f.NoHeaders, "no-headers", false,
		"Print the table's rows alone: no headers, and no lines above and below.")
	if !f.Unsortable {
		cmd.Flags().StringVar(&f.SortBy, "sort-by", "",
			"Sort by a field of the objects that -o json prints, a JSONPath expression such as '{.size}'.")
	}
	f.templates.AddFlags(cmd)
	_ = cmd.RegisterFlagCompletionFunc("output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return f.formats(), cobra.ShellCompDirectiveNoFileComp
	})
}

func (f *Flags) formats() []string {
	formats := []string{"wide"}
	for _, more := range [][]string{f.json.AllowedFormats(), f.name.AllowedFormats(), f.templates.AllowedFormats(),
		f.columns.AllowedFormats()} {
		formats = append(formats, more...)
	}
	sort.Strings(formats)
	return slices.Compact(formats)
}

// Validate refuses a format that there isn't before anything is asked for.
func (f *Flags) Validate() error {
	if f.human() {
		return nil
	}
	_, err := f.printer()
	return err
}

func (f *Flags) human() bool { return f.Output == "" || f.Output == "wide" }

func (f *Flags) printer() (printers.ResourcePrinter, error) {
	f.columns.NoHeaders = f.NoHeaders
	if p, err := f.json.ToPrinter(f.Output); !genericclioptions.IsNoCompatiblePrinterError(err) {
		return p, err
	}
	if p, err := f.name.ToPrinter(f.Output); !genericclioptions.IsNoCompatiblePrinterError(err) {
		return p, err
	}
	if p, err := f.templates.ToPrinter(f.Output); !genericclioptions.IsNoCompatiblePrinterError(err) {
		return p, err
	}
	if p, err := f.columns.ToPrinter(f.Output); !genericclioptions.IsNoCompatiblePrinterError(err) {
		return p, err
	}
	output := f.Output
	return nil, genericclioptions.NoCompatiblePrinterError{OutputFormat: &output, AllowedFormats: f.formats()}
}

// Print shows a result.
func (f *Flags) Print(screen Screen, r *Result) error {
	table, styles := r.table()
	if err := f.sort(table); err != nil {
		return err
	}
	if !f.human() {
		printer, err := f.printer()
		if err != nil {
			return err
		}
		return printer.PrintObj(list(table), screen.Out)
	}
	if len(r.Rows) == 0 && r.Empty != "" {
		screen.Note(r.Empty)
		return nil
	}
	return f.printTable(screen, r, table, styles)
}

func (f *Flags) sort(table *metav1.Table) error {
	if f.SortBy == "" || len(table.Rows) == 0 {
		return nil
	}
	field, err := get.RelaxedJSONPathExpression(f.SortBy)
	if err != nil {
		return err
	}
	sorter, err := get.NewTableSorter(table, field)
	if err != nil {
		return err
	}
	return sorter.Sort()
}

func (f *Flags) printTable(screen Screen, r *Result, table *metav1.Table, styleOf map[runtime.Object]Style) error {
	var styles []Style // of the lines
	if !f.NoHeaders {
		styles = append(styles, Dim)
	}
	for i := range table.Rows {
		styles = append(styles, styleOf[table.Rows[i].Object.Object])
	}
	var text bytes.Buffer
	printer := printers.NewTablePrinter(printers.PrintOptions{NoHeaders: f.NoHeaders, Wide: f.Output == "wide"})
	if err := printer.PrintObj(table, &text); err != nil {
		return err
	}
	if !f.NoHeaders {
		for _, line := range r.Before {
			screen.Line(Plain, "%s", line)
		}
	}
	for i, line := range strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n") {
		style := Plain
		if i < len(styles) {
			style = styles[i]
		}
		screen.Line(style, "%s", strings.TrimRight(line, " "))
	}
	if !f.NoHeaders {
		for _, line := range r.After {
			screen.Line(Plain, "%s", line)
		}
	}
	return nil
}
