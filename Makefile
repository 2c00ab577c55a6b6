# Everything here needs Go, git and make only, except where a target says more.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MODULE  := github.com/gearman-manager/gearman-manager
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X $(MODULE)/internal/cli.version=$(VERSION)
# The version comes from git describe; Go's own stamp would fail on a tree that belongs to another user.
GOBUILD := CGO_ENABLED=0 go build -buildvcs=false -trimpath
TOOL    := go tool -modfile=internal/tools/go.mod

FUZZTIME  ?= 30s
BENCHTIME ?= 3s
KEEP      ?=

.PHONY: help build test lint fuzz e2e bench generate demo clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build bin/gearman-manager and the example plugins in bin/examples
	$(GOBUILD) -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...
	$(GOBUILD) -ldflags '-s -w' -o bin/examples/ ./examples/...

test: ## Install what the tests need (Debian, if allowed), run all tests with the race detector
	scripts/test.sh

lint: ## Check style, modules, generated code and shell scripts
	scripts/lint.sh

fuzz: ## Run every fuzz target for FUZZTIME (30s)
	FUZZTIME='$(FUZZTIME)' scripts/fuzz.sh

e2e: ## Test the whole product and both job servers, nothing else
	scripts/test.sh -count=1 ./test/...

bench: ## Compare speed, CPU and memory with other workers (BENCHTIME=3s, BENCHFLAGS='-runs 3 -rows plugin,php')
	go run ./bench -time '$(BENCHTIME)' $(BENCHFLAGS)

generate: ## Generate the gRPC code and the reference pages
	$(TOOL) buf generate
	go test ./config -run '^TestReference$$' -update
	go test ./internal/cli -run '^TestHelp$$|^TestCommandsReference$$' -update

demo: build ## Start job server, manager and workers, send them jobs (KEEP=1 stays up)
	bin/gearman-manager demo $(if $(filter-out 0,$(KEEP)),--keep)

clean: ## Remove what was built
	rm -rf bin
