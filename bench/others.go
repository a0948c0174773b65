package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"

	"ente.example/idp/bench/driver"
	"ente.example/idp/bench/meter"
)

// told is what floor and peer are told about themselves, as a file.
type told struct {
	Issuer   string          `json:"issuer"`
	Listen   string          `json:"listen"`
	Database string          `json:"database,omitempty"`
	Socket   string          `json:"socket,omitempty"`
	Redirect string          `json:"redirect"`
	Scope    string          `json:"scope"`
	Resource string          `json:"resource"`
	Clients  []driver.Client `json:"clients"`
	People   []citizen       `json:"people"`
}

// startOther starts a program that reads its settings from a file.
func startOther(ctx context.Context, name, dir string, database *meter.Postgres, people []citizen, program string, args ...string) (*server, error) {
	s := &server{name: name, database: database}
	listen, err := freeAddress()
	if err != nil {
		return s, err
	}
	t := told{
		Issuer: "http://" + listen, Listen: listen, Redirect: redirect, Scope: scope, Resource: "https://api.example", People: people,
		Clients: []driver.Client{client("always", "ES256"), client("kept", "ES256"), client("rs256", "RS256")},
	}
	if database != nil {
		t.Database, t.Socket = database.URL(), database.Dir()
	}
	s.target = driver.Target{
		Issuer: t.Issuer, Client: t.Clients[0], Kept: t.Clients[1], RS256: t.Clients[2], Redirect: redirect, Scope: scope, Resource: t.Resource, People: typed(people),
	}
	b, err := json.Marshal(t)
	if err != nil {
		return s, err
	}
	file := filepath.Join(dir, "settings.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return s, err
	}
	if err := s.run(ctx, dir, program, append(args, file), "NODE_ENV=production"); err != nil {
		return s, err
	}
	return s, s.connect(ctx)
}

func client(id, alg string) driver.Client {
	return driver.Client{ID: id, Secret: rand.Text() + rand.Text(), Alg: alg}
}
