package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is how often the certificate's file is looked at.
const lookEvery = 10 * time.Second

// certificate is the listener's, read again when its file changes: renewals
// need no restart.
type certificate struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu     sync.Mutex
	loaded *tls.Certificate
	mtime  time.Time
	looked time.Time
}

func newCertificate(certFile, keyFile string, logger *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return c, nil
}

func (c *certificate) load() error {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	c.looked = time.Now()
	if c.loaded != nil && info.ModTime().Equal(c.mtime) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.loaded, c.mtime = &pair, info.ModTime()
	return nil
}

// get is tls.Config.GetCertificate. A certificate that cannot be read leaves
// the last good one in use.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= lookEvery {
		if err := c.load(); err != nil {
			c.looked = time.Now()
			c.logger.Error("the certificate cannot be read; the last one stays in use", "error", err)
		}
	}
	return c.loaded, nil
}
