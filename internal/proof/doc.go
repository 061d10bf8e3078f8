// Package proof has no code: its tests are the proof, as far as tests are one,
// that loop, channel and chat do what they promise. They run in simulated
// worlds, most of them package asynctest's:
//
//   - TestSim plays families of scenarios, whose shape is drawn from a tape as
//     the faults are, from random seeds.
//   - TestSweep has each system call of small scenarios fail in each way in which
//     it can.
//   - TestSmallScope plays all runs of a few operations at a few callbacks of a
//     few channels.
//   - TestFlavours compares pollers, TestDeterminism a seed with itself.
//   - TestProbes tells which situations of the fault model have occurred.
//   - FuzzTape lets a fuzzer choose.
//
// Beside what asynctest checks of every world, these have their own ledgers and
// look at the loop from below, at its system calls and its poller.
package proof
