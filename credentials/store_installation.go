package credentials

import (
	"context"
	"encoding/json"
	"errors"
)

const hashCost = "pin.hash_cost"

// read returns the installation's cost. The first time a node asks, it also
// says what it wants: the configured cost replaces what is there, the default
// only fills an empty place.
func (h *Hasher) read(ctx context.Context) (Cost, error) {
	if h.readAt.IsZero() {
		if err := h.propose(ctx); err != nil {
			return Cost{}, err
		}
	}
	var text string
	if err := h.db.Read(ctx).Raw(`SELECT value FROM installation WHERE key = ?`, hashCost).Row().Scan(&text); err != nil {
		return Cost{}, err
	}
	var c Cost
	if err := json.Unmarshal([]byte(text), &c); err != nil || !c.valid() {
		return Cost{}, errors.New("the database holds no cost of Argon2id")
	}
	return c, nil
}

func (h *Hasher) propose(ctx context.Context) error {
	cost, action := FloorCost(), "NOTHING"
	if h.wanted != (Cost{}) {
		cost, action = h.wanted, "UPDATE SET value = excluded.value, changed_at = excluded.changed_at WHERE installation.value <> excluded.value"
	}
	text, err := json.Marshal(cost)
	if err != nil {
		return err
	}
	return h.db.Write(ctx).Exec(`INSERT INTO installation (key, value, changed_at) VALUES (?, ?, ?) ON CONFLICT (key) DO `+action,
		hashCost, string(text), h.db.NowExpr()).Error
}
