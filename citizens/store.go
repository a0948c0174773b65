package citizens

import (
	"context"

	"ente.example/idp/database"
)

type store struct {
	db  *database.DB
	box *box
}

func (s *store) one(ctx context.Context, column string, value any) (Citizen, error) {
	return Citizen{}, ErrUnknown
}
func (s *store) find(ctx context.Context, keys [][]byte) (ID, bool, error) { return "", false, nil }
