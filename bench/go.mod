module github.com/seed-20e08ac4/asyncore/bench

go 1.26.0

require github.com/seed-20e08ac4/asyncore v0.0.0

require golang.org/x/sys v0.49.0 // indirect

replace github.com/seed-20e08ac4/asyncore => ../
