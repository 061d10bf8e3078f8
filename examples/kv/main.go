// Kv keeps strings under keys, in memory, and speaks the protocol of Redis
// (RESP2) to any of its clients: strings with expiry, and publish/subscribe.
//
//	go run ./examples/kv
//	redis-cli set greeting hello EX 60
//	redis-cli subscribe news
//	redis-benchmark -t ping,set,get,incr
//	printf 'GET greeting\r\n' | nc -N 127.0.0.1 6379
//
// Replies and errors are those of Redis 7.0, of which it has no lists, hashes,
// scripts, transactions, persistence or passwords: let nobody connect whom you
// would not let read and overwrite everything.
//
// Its limits are narrower than Redis', and all have flags: a value has at most
// 1 MiB, a command 4 MiB and 65,536 arguments, all that is kept 256 MiB (then
// writes fail with OOM, as in Redis under noeviction). What a command costs
// before it is complete grows with what has come of it, never with what it
// announces, and all such commands have 64 MiB together. A line has a minute to
// come, and so have all arguments of a command. A subscriber that does not read is dropped when 1 MiB
// waits for it, and nobody else notices.
package main

import (
	"flag"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/example"
)

func main() {
	server := example.Server{Addr: "127.0.0.1:6379"}
	server.Flags()
	lim := defaults
	flag.IntVar(&lim.value, "max-value", lim.value, "most bytes of one argument")
	flag.IntVar(&lim.args, "max-args", lim.args, "most arguments of one command")
	flag.IntVar(&lim.command, "max-command", lim.command, "most bytes of one command")
	flag.IntVar(&lim.held, "max-held", lim.held, "most bytes of all incomplete commands and subscriptions together")
	flag.Int64Var(&lim.memory, "maxmemory", lim.memory, "most bytes that all keys and values may take")
	example.Main(func() error { return server.Run(chat.Accept(newServer(lim).accept)) })
}
