// Bench measures servers side by side, under one load, and prints a Markdown
// table. It is run in the directory above cmd, on Linux, and needs gcc.
//
//	go run ./cmd/bench lines
//	go run ./cmd/bench packets
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

var tables = []table{lines, packets}

func main() {
	log.SetFlags(0)
	// Deferred calls end the servers, so a signal must not end us before.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Fatal("bench: ", err)
	}
}

func bench(ctx context.Context, args []string) error {
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
	}
	usage := fmt.Errorf("the first argument is a table: %s", strings.Join(names, ", "))
	if len(args) == 0 {
		return usage
	}
	i := slices.Index(names, args[0])
	if i < 0 {
		return usage
	}
	t := tables[i]

	flags := flag.NewFlagSet("bench "+t.name, flag.ContinueOnError)
	var p plan
	flags.IntVar(&p.rounds, "rounds", 7, "how often each server is measured in each cell")
	flags.IntVar(&p.tries, "tries", 3, "how often it runs for that, at most, while other processes disturb it")
	flags.DurationVar(&p.window, "time", 600*time.Millisecond, "what is measured of a run, after half as much to warm up")
	servers := flags.String("servers", join(t.servers), "the servers; the first one is what the others are compared with")
	cells := flags.String("cells", join(t.cells), "the cells: connections x bytes of a message x messages under way")
	smoke := flags.Bool("smoke", false, "only see that everything runs: one short round")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	if *smoke {
		p = plan{rounds: 1, tries: 1, window: 50 * time.Millisecond}
	}
	if p.rounds < 1 || p.tries < 1 || p.window < 10*time.Millisecond {
		return errors.New("that is not to be measured: fewer than one round or try, or less than 10 ms")
	}
	var err error
	if t.servers, err = choose(t.servers, *servers); err != nil {
		return err
	}
	if t.cells, err = choose(t.cells, *cells); err != nil {
		return err
	}

	results, skipped, err := t.run(ctx, p)
	if err != nil {
		return err
	}
	fmt.Printf("%s (rounds: %d, time: %v, %s, %s/%s); %s.\n\n",
		t.title, p.rounds, p.window, runtime.Version(), runtime.GOOS, runtime.GOARCH, disturbed(results))
	fmt.Print(report(results, t.unit))
	for _, why := range skipped {
		fmt.Printf("\nLeft out: %v\n", why)
	}
	return nil
}

func join[T fmt.Stringer](all []T) string {
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = v.String()
	}
	return strings.Join(names, ",")
}

// choose returns those of all that names lists, in the order of names.
func choose[T fmt.Stringer](all []T, names string) ([]T, error) {
	var chosen []T
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(v T) bool { return v.String() == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is none of %s", name, join(all))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
