// Package page makes pages that are whole in themselves: a treemap whose places are worked out here, a table, and a few
// lines of script that light up what belongs together. Nothing is loaded from anywhere, and the page forbids it.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"

	"strata/clients/kubectl-layers/view"
)

//go:embed page.html
var html string

//go:embed page.css
var style string

//go:embed page.js
var script string

var pages = template.Must(template.New("page").Funcs(template.FuncMap{"bytes": view.Bytes}).Parse(html))

// What a page shows.
type content struct {
	Title, Text string
	Legend      []Box
	Map         *Box
	Columns     []string
	Rows        [][]string

	Style  template.CSS
	Script template.JS
	Policy template.HTMLAttr
}

// The width of the map by its height; page.css says the same.
const aspect = 2.0

func (c content) render() []byte {
	c.Map.arrange(aspect, 1)
	c.Style, c.Script = template.CSS(style), template.JS(script)
	sum := sha256.Sum256([]byte(script))
	c.Policy = template.HTMLAttr(`content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-` +
		base64.StdEncoding.EncodeToString(sum[:]) + `'"`)
	var page bytes.Buffer
	if err := pages.Execute(&page, c); err != nil {
		panic(err) // The template is wrong, whatever the content.
	}
	return page.Bytes()
}
