package templates_test

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// looked is what a reader of the markup finds on a page.
type looked struct {
	lang, page    string
	h1            int
	ids           []string
	references    []string // ids that attributes point to
	fields        []string // ids of fields people fill in
	labelled      []string // ids that labels are for
	images        []string // images without alt
	inline        []string // script, style or handlers in the page
	forms, tokens int      // our own forms, and the tokens in them
}

func look(doc *html.Node) looked {
	var p looked
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			p.see(n)
		}
	}
	return p
}

func (p *looked) see(n *html.Node) {
	a := map[string]string{}
	for _, at := range n.Attr {
		a[at.Key] = at.Val
		if at.Key == "style" || strings.HasPrefix(at.Key, "on") {
			p.inline = append(p.inline, n.Data+" "+at.Key)
		}
	}
	if id, ok := a["id"]; ok {
		p.ids = append(p.ids, id)
	}
	for _, key := range []string{"aria-describedby", "aria-labelledby", "form", "for"} {
		p.references = append(p.references, strings.Fields(a[key])...)
	}
	if target, ok := strings.CutPrefix(a["href"], "#"); ok && n.Data == "a" {
		p.references = append(p.references, target)
	}
	switch n.Data {
	case "html":
		p.lang = a["lang"]
	case "main":
		p.page = a["data-page"]
	case "h1":
		p.h1++
	case "style":
		p.inline = append(p.inline, "style")
	case "script":
		if a["src"] == "" {
			p.inline = append(p.inline, "script")
		}
	case "img":
		if _, ok := a["alt"]; !ok {
			p.images = append(p.images, a["src"])
		}
	case "label":
		p.labelled = append(p.labelled, a["for"])
	case "form":
		if strings.HasPrefix(a["action"], "/") {
			p.forms++
		}
	case "input":
		if _, unseen := a["hidden"]; a["type"] != "hidden" && !unseen { // nobody reads what is not shown
			p.fields = append(p.fields, a["id"])
		}
		if a["name"] == "form_token" && a["value"] != "" {
			p.tokens++
		}
	}
}

func (p looked) complaints() []string {
	var all []string
	complain := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	seen := slices.Sorted(slices.Values(p.ids))
	if len(slices.Compact(seen)) != len(p.ids) {
		complain("an id is there twice: %v", p.ids)
	}
	for _, r := range p.references {
		if !slices.Contains(p.ids, r) {
			complain("%q points nowhere", r)
		}
	}
	for _, f := range p.fields {
		if !slices.Contains(p.labelled, f) {
			complain("field %q has no label", f)
		}
	}
	if len(p.images) > 0 {
		complain("images without alt: %v", p.images)
	}
	if len(p.inline) > 0 {
		complain("inline script or style: %v", p.inline)
	}
	if p.forms != p.tokens {
		complain("%d forms of ours, %d form tokens", p.forms, p.tokens)
	}
	return all
}
