module github.com/seed-20e08ac4/asyncore

go 1.26.0

require golang.org/x/sys v0.49.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/tidwall/evio v1.0.8
	golang.org/x/net v0.62.0
)

require github.com/kavu/go_reuseport v1.5.0 // indirect
