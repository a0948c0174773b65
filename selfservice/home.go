package selfservice

import "github.com/labstack/echo/v4"

func (h *Handler) mountHome(e *echo.Echo) {}
