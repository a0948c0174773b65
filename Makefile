# What each target is for stands in CONTRIBUTING.md. The first two are all a newcomer needs:
#   make demo    everything on this machine, in a browser
#   make test    every test, on both databases and in a browser

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# No C compiler is needed: the SQLite driver is Go.
export CGO_ENABLED ?= 0

assets := templates/assets/dist/manifest.json

.PHONY: help demo test check lint fuzz drill bench assets build clean setup-tools setup-postgresql setup-pgbouncer setup-chromium setup-apache

help:
	@sed -n 's/^# \{0,1\}//; 1,3p' Makefile

demo: $(assets)
	@go run ./cmd/idp demo

# Everything that must be right before a change lands; a skipped test fails it.
test: setup-tools setup-postgresql setup-pgbouncer setup-chromium setup-apache $(assets) lint
	@go run ./database/databasetest/testrun -tags browser -shuffle=on -timeout 15m ./...

# The fast part while coding: format, linters, tests on SQLite.
check: lint
	@IDP_TEST_POSTGRES=none go test ./...

# The long form: the race detector (it needs a C compiler) and every fuzz target for a while.
drill: setup-tools setup-postgresql setup-pgbouncer setup-chromium setup-apache $(assets) fuzz
	@CGO_ENABLED=1 go run ./database/databasetest/testrun -race -tags browser -shuffle=on -timeout 60m ./...

# What it costs, beside oidc-provider and a floor; docs/performance.md says how.
bench: setup-postgresql $(assets)
	@[ bench/peer/node_modules -nt bench/peer/package-lock.json ] || { npm --prefix bench/peer ci --no-audit --no-fund --ignore-scripts --loglevel=error; touch bench/peer/node_modules; }
	@go run ./bench $(BENCH)

FUZZTIME ?= 30s

fuzz:
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do \
	  grep -oE '^func (Fuzz[A-Za-z0-9_]+)' "$$file" | cut -d' ' -f2 | while read -r name; do \
	    echo "fuzzing $$name for $(FUZZTIME)"; go test "./$$(dirname "$$file")" -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) >/dev/null; done; done

lint:
	@gofmt -l $$(git ls-files '*.go') | { ! grep . ; } || { echo 'not formatted: run gofmt -w' >&2; exit 1; }
	@go vet -tags browser ./...
	@go mod tidy -diff
	@go tool -modfile=tools/go.mod golangci-lint run --allow-parallel-runners

build: $(assets)
	@go build -trimpath -ldflags='-s -w' -o bin/idp ./cmd/idp

assets: $(assets)

$(assets): package.json package-lock.json templates/assets/build.mjs $(shell find templates/assets templates/pages -type f -not -path 'templates/assets/dist/*' 2>/dev/null)
	@[ -d node_modules ] && [ node_modules -nt package-lock.json ] || { echo 'installing npm packages'; npm ci --no-audit --no-fund --ignore-scripts --loglevel=error; touch node_modules; }
	@npm run --silent build

# A fresh Debian machine gets what is missing, as root or with sudo.
root := $(if $(filter 0,$(shell id -u)),,sudo)

setup-tools:
	@command -v curl >/dev/null && command -v openssl >/dev/null && command -v pdftotext >/dev/null || { \
	  echo 'installing curl, openssl and poppler-utils from Debian'; \
	  $(root) apt-get update -qq; $(root) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends curl openssl ca-certificates poppler-utils >/dev/null; }

setup-postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { \
	  echo 'installing PostgreSQL from Debian'; \
	  $(root) apt-get update -qq; $(root) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; }

setup-pgbouncer:
	@[ -x /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null || { \
	  echo 'installing PgBouncer from Debian'; \
	  $(root) apt-get update -qq; $(root) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends pgbouncer >/dev/null; }

setup-chromium:
	@command -v chromium >/dev/null || { \
	  echo 'installing Chromium from Debian'; \
	  $(root) apt-get update -qq; $(root) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null; }

# The module alone: nothing is started.
setup-apache:
	@[ -x /usr/sbin/apache2 ] && [ -f /usr/lib/apache2/modules/mod_auth_openidc.so ] && command -v jq >/dev/null || { \
	  echo 'installing Apache, mod_auth_openidc and jq from Debian'; \
	  $(root) apt-get update -qq; $(root) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends apache2-bin libapache2-mod-auth-openidc jq >/dev/null; }

clean:
	@rm -rf bin node_modules templates/assets/dist/*
