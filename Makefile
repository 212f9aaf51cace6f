# Everything a developer does here. It needs Go, git and make; the tools are
# built on demand, pinned, into .bin. `make` alone says what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# How many inputs `make fuzz` gives each target. A time, like 10m, is taken too,
# but before Go 1.27 it can end with a false "context deadline exceeded"
# (go.dev/issue/75804).
FUZZTIME ?= 40000x

# What the demo's API says of its quotas: guide, or none for the API bare.
HEADERS ?= guide

# Pins. A tool's directory has its version in its name: a changed pin builds anew.
BUF_VERSION                := v1.75.0
PROTOC_GEN_GO_VERSION      := v1.36.12
PROTOC_GEN_GO_GRPC_VERSION := v1.6.2
GOLANGCI_LINT_VERSION      := v2.15.0

BIN                := $(CURDIR)/.bin
BUF                := $(BIN)/buf-$(BUF_VERSION)/buf
PROTOC_GEN_GO      := $(BIN)/protoc-gen-go-$(PROTOC_GEN_GO_VERSION)/protoc-gen-go
PROTOC_GEN_GO_GRPC := $(BIN)/protoc-gen-go-grpc-$(PROTOC_GEN_GO_GRPC_VERSION)/protoc-gen-go-grpc
GOLANGCI_LINT      := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint

# The contract as it was last released: what must not be broken.
RELEASED := proto/quotabroker/v1.binpb

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## Build bin/quotabroker
	go build -o bin/quotabroker ./cmd/quotabroker

.PHONY: run
run: build ## Run a broker with the default configuration
	bin/quotabroker serve

.PHONY: demo
demo: build ## Watch a fleet fail alone, and succeed together; HEADERS=none for an API that tells nothing
	bin/quotabroker demo --headers $(HEADERS)

.PHONY: test
test: ## Run all tests
	go test ./...

.PHONY: race
race: ## Run the tests, the slow ones in fewer cases, under the race detector, which needs a C compiler
	go test -race -short ./...

.PHONY: fuzz
fuzz: ## Fuzz each parser for FUZZTIME, 40000x (inputs) unless given
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | while IFS=: read -r file func; do \
		echo "fuzz $${func#func } in $${file%/*}"; \
		go test -run='^$$' -fuzz="^$${func#func }\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=1000x "$${file%/*}" </dev/null; \
	done

.PHONY: bench
bench: ## Run all benchmarks
	go test -run='^$$' -bench=. -benchmem ./...

.PHONY: scoreboard
scoreboard: build ## Play every scenario against every strategy with 20 seeds, and write server/simulate/README.md's scoreboard
	bin/quotabroker simulate --all --strategy all --seeds 20 --scoreboard server/simulate/README.md

.PHONY: promtool
promtool: ## Check the metrics of a live scrape and the alert rules by Prometheus's own tool, installed by apt when it is missing
	@command -v promtool >/dev/null || { command -v apt-get >/dev/null && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus >/dev/null; } || \
		{ echo "promtool is missing: install Prometheus's package, on Debian prometheus" >&2; exit 1; }
	go test -count=1 -run='^(TestMetricsAreWellNamed|TestRules)$$' ./cmd/quotabroker/wire

.PHONY: cover
cover: ## Write coverage.out and print the total, generated code apart
	go test -coverprofile=coverage.out -coverpkg="$$(go list ./... | grep -v /gen/ | paste -sd, -)" ./...
	go tool cover -func=coverage.out | tail -n 1

.PHONY: lint
lint: breaking $(GOLANGCI_LINT) ## Check style, format, modules and the contract
	$(BUF) lint
	go mod tidy -diff
	$(GOLANGCI_LINT) run

.PHONY: breaking
breaking: $(BUF) ## Check that the contract breaks nobody who has the released one
	$(BUF) breaking --against $(RELEASED)

.PHONY: image
image: $(BUF) ## At a release: make the contract as it stands the released one
	$(BUF) build --exclude-source-info -o $(RELEASED)

.PHONY: generate
generate: $(BUF) $(PROTOC_GEN_GO) $(PROTOC_GEN_GO_GRPC) ## Generate gen/ from the contract
	PATH="$(dir $(PROTOC_GEN_GO)):$(dir $(PROTOC_GEN_GO_GRPC)):$$PATH" $(BUF) generate --template proto/buf.gen.yaml

.PHONY: checkgenerate
checkgenerate: generate ## Fail when gen/ is not what the contract generates
	git diff --exit-code -- gen
	@new="$$(git ls-files --others --exclude-standard -- gen)"; \
	if [ -n "$$new" ]; then echo "generated and not added to git:"; echo "$$new"; exit 1; fi >&2

# install builds a tool of a module into the directory that its version names.
# No tool needs a C compiler.
define install
	@echo "building $(notdir $@) $(2)"
	@GOBIN="$(@D)" GOFLAGS= CGO_ENABLED=0 go install -trimpath $(1)@$(2)
endef

$(BUF):
	$(call install,github.com/bufbuild/buf/cmd/buf,$(BUF_VERSION))

$(PROTOC_GEN_GO):
	$(call install,google.golang.org/protobuf/cmd/protoc-gen-go,$(PROTOC_GEN_GO_VERSION))

$(PROTOC_GEN_GO_GRPC):
	$(call install,google.golang.org/grpc/cmd/protoc-gen-go-grpc,$(PROTOC_GEN_GO_GRPC_VERSION))

$(GOLANGCI_LINT):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,$(GOLANGCI_LINT_VERSION))
