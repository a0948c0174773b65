package provider

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"ente.example/idp/database"
)

// The states of a device's request. A waiting one ends with its time.
const (
	deviceWaiting  = "waiting"
	deviceApproved = "approved"
	deviceDenied   = "denied"
)

// errDeviceGone says that no request waits under a code: there never was one, or
// it was answered, or its time is over.
var errDeviceGone = errors.New("no such device request")

// devices is the table of the requests of devices. Who answers one, and how
// fast it may ask, conditional UPDATEs decide.
type devices struct {
	db     *database.DB
	policy DevicePolicy
}

// deviceRow is the request of one device.
type deviceRow struct {
	DeviceHash   []byte // also the code_hash of the grant that comes of it
	UserHash     []byte
	ClientID     string
	Params       string // the request, form-encoded
	State        string
	PollInterval int // seconds
	CreatedAt    database.Time
	ExpiresAt    database.Time
	Clock        database.Time
}

// over reports whether the request's time was over when it was read.
func (r deviceRow) over() bool { return !r.Clock.Before(r.ExpiresAt.Time) }

func (d *devices) insert(ctx context.Context, r deviceRow) error {
	err := d.db.Write(ctx).Table("devices").Create(map[string]any{
		"client_id": r.ClientID, "device_hash": r.DeviceHash, "user_hash": r.UserHash, "params": r.Params, "state": deviceWaiting,
		"poll_interval": r.PollInterval, "created_at": d.db.NowExpr(), "expires_at": d.db.NowPlus(d.policy.Life),
	}).Error
	if err != nil {
		return fmt.Errorf("insert device request: %w", err)
	}
	return nil
}

// byCode is a request in whatever state it is.
func (d *devices) byCode(ctx context.Context, hash []byte) (deviceRow, error) {
	return d.one(ctx, "device_hash = ?", hash)
}

// waiting is a request that somebody can still answer.
func (d *devices) waiting(ctx context.Context, userHash []byte) (deviceRow, error) {
	return d.one(ctx, "user_hash = ? AND state = ? AND expires_at > ?", userHash, deviceWaiting, d.db.NowExpr())
}

func (d *devices) one(ctx context.Context, where string, args ...any) (deviceRow, error) {
	var r deviceRow
	err := d.db.Read(ctx).Table("devices").Select("*, ? AS clock", d.db.NowExpr()).Where(where, args...).Take(&r).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return deviceRow{}, errDeviceGone
	}
	if err != nil {
		return deviceRow{}, fmt.Errorf("read device request: %w", err)
	}
	return r, nil
}

// answer settles a waiting request, once, and says when its device code ends.
func (d *devices) answer(ctx context.Context, hash []byte, state string) (time.Time, error) {
	var until database.Time
	err := d.db.Write(ctx).Raw(`UPDATE devices SET state = ? WHERE device_hash = ? AND state = ? AND expires_at > ?
		RETURNING expires_at`, state, hash, deviceWaiting, d.db.NowExpr()).Row().Scan(&until)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, errDeviceGone
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("answer device request: %w", err)
	}
	return until.Time, nil
}

// pollStep is what is added to the interval of a device that asks too often
// (RFC 8628 §3.5).
const pollStep = 5

// poll notes that the device has asked. False: sooner than it may, and from now
// on it has to wait longer. Of several that ask at once one is in time.
func (d *devices) poll(ctx context.Context, r deviceRow) (bool, error) {
	pause := time.Duration(r.PollInterval) * time.Second
	res := d.db.Write(ctx).Exec(`UPDATE devices SET polled_at = ?
		WHERE device_hash = ? AND poll_interval = ? AND (polled_at IS NULL OR polled_at <= ?)`,
		d.db.NowExpr(), r.DeviceHash, r.PollInterval, d.db.NowPlus(-pause))
	if res.Error == nil && res.RowsAffected == 0 {
		res = d.db.Write(ctx).Exec("UPDATE devices SET polled_at = ?, poll_interval = poll_interval + ? WHERE device_hash = ?",
			d.db.NowExpr(), pollStep, r.DeviceHash)
		if res.Error == nil {
			return false, nil
		}
	}
	if res.Error != nil {
		return false, fmt.Errorf("note a device's poll: %w", res.Error)
	}
	return true, nil
}

// sweep deletes a batch of requests that are over. For a while they are kept, so
// that a device is told that its time is over.
func (d *devices) sweep(ctx context.Context) (int, error) {
	res := d.db.Write(ctx).Exec(`DELETE FROM devices WHERE device_hash IN
		(SELECT device_hash FROM devices WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`, d.db.NowPlus(-d.policy.Life), sweepBatch)
	if res.Error != nil {
		return 0, fmt.Errorf("sweep device requests: %w", res.Error)
	}
	return int(res.RowsAffected), nil
}
