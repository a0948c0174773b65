package web

import (
	"bytes"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// mountAssets serves style, scripts, fonts and pictures. Their names carry a hash
// of what is in them, so browsers may keep them for good.
func (s *Server) mountAssets() {
	s.Echo.GET("/assets/:name", func(c echo.Context) error {
		asset, ok := s.templates.Asset(c.Param("name"))
		if !ok {
			return echo.ErrNotFound
		}
		h := c.Response().Header()
		h.Set("Content-Type", asset.Type)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(asset.Body))
		return nil
	})
}
