// Package view shows what commands found: as tables like kubectl's, with colours on a terminal, or as objects.
package view

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// APIVersion of the objects that -o json and its like print: they are this program's, no server's.
const APIVersion = "kubectl-layers.strata.dev/v1"

// Style of a line on a terminal.
type Style int

// The styles.
const (
	Plain Style = iota
	Good
	Bad
	Warn
	Dim
)

// Column of a table; wide ones are shown with -o wide.
type Column struct {
	Name string
	Wide bool
}

// Row is an object and how a table shows it.
type Row struct {
	Cells  []any
	Style  Style
	Object Object
}

// Object is printed by -o json, yaml, name, jsonpath, custom-columns, and sorted by.
type Object struct {
	Kind, Namespace, Name string
	Fields                map[string]any // JSON's types alone; absent where nil
}

// Result of a command.
type Result struct {
	Columns []Column
	Before  []string // lines above the table
	Rows    []Row
	After   []string // and below
	// Nothing is said instead of an empty table: "No resources found".
	Empty string
}

func (o Object) unstructured() *unstructured.Unstructured {
	metadata := map[string]any{"name": o.Name}
	if o.Namespace != "" {
		metadata["namespace"] = o.Namespace
	}
	content := map[string]any{"apiVersion": APIVersion, "kind": o.Kind, "metadata": metadata}
	for name, value := range o.Fields {
		if value != nil {
			content[name] = value
		}
	}
	return &unstructured.Unstructured{Object: content}
}

// table is the result as cli-runtime's printers and kubectl's sorter take it, and how each row's object is shown.
func (r *Result) table() (*metav1.Table, map[runtime.Object]Style) {
	table, styles := &metav1.Table{}, map[runtime.Object]Style{}
	for _, column := range r.Columns {
		definition := metav1.TableColumnDefinition{Name: column.Name, Type: "string"}
		if column.Wide {
			definition.Priority = 1
		}
		table.ColumnDefinitions = append(table.ColumnDefinitions, definition)
	}
	for _, row := range r.Rows {
		object := row.Object.unstructured()
		styles[object] = row.Style
		table.Rows = append(table.Rows, metav1.TableRow{Cells: row.Cells, Object: runtime.RawExtension{Object: object}})
	}
	return table, styles
}

// list of the rows' objects, as kubectl wraps several.
func list(table *metav1.Table) *unstructured.UnstructuredList {
	objects := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List",
		"metadata": map[string]any{"resourceVersion": ""}}}
	for _, row := range table.Rows {
		objects.Items = append(objects.Items, *row.Object.Object.(*unstructured.Unstructured))
	}
	return objects
}

// Strings as JSON's type; nil where there are none.
func Strings(values []string) any {
	if len(values) == 0 {
		return nil
	}
	list := make([]any, len(values))
	for i, value := range values {
		list[i] = value
	}
	return list
}

// Text is nil where it is empty.
func Text(text string) any {
	if text == "" {
		return nil
	}
	return text
}
