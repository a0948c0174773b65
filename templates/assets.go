package templates

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// Built files are not committed: make assets fills the folder. The all: prefix
// lets the program compile with an empty one.
//
//go:embed all:assets/dist
var built embed.FS

// Asset is a file served under /assets/.
type Asset struct {
	Type string
	Body []byte
}

// assets are the built files by their hashed names, and the hashed names by the
// names that templates use.
type assets struct {
	files map[string]Asset
	names map[string]string
}

// loadAssets reads what the build left. An empty folder is not an error: pages
// are served bare and the program says so once.
func loadAssets(dist fs.FS) (assets, error) {
	a := assets{files: map[string]Asset{}, names: map[string]string{}}
	manifest, err := fs.ReadFile(dist, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return a, fmt.Errorf("read asset manifest: %w", err)
	}
	if err := json.Unmarshal(manifest, &a.names); err != nil {
		return a, fmt.Errorf("read asset manifest: %w", err)
	}
	for name, hashed := range a.names {
		body, err := fs.ReadFile(dist, hashed)
		if err != nil {
			return a, fmt.Errorf("read asset %s: %w", name, err)
		}
		a.files[hashed] = Asset{Type: mediaType(hashed), Body: body}
	}
	return a, nil
}

func mediaType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".woff2":
		return "font/woff2"
	default:
		return "application/octet-stream"
	}
}

// Asset is the file of that hashed name.
func (s *Set) Asset(name string) (Asset, bool) {
	a, ok := s.assets.files[name]
	return a, ok
}

// MissingAssets reports that the style and the scripts have not been built.
func (s *Set) MissingAssets() bool {
	_, ok := s.assets.names["site.css"]
	return !ok
}

// url is where an asset is served, or "" if it was not built: templates then
// leave the element out.
func (a assets) url(name string) string {
	if hashed, ok := a.names[name]; ok {
		return "/assets/" + hashed
	}
	return ""
}
