#pragma once
// --ngpu N: starts this program again, as N ranks, by mpirun.

namespace tdds {

// Runs mpirun with this process' command line and waits for it. A first signal that asks to save and end
// (apps/cli/interrupt.h) is passed on as SIGUSR1, since mpirun would end its ranks at once for the others; a
// second one ends them. Returns the exit code: that of the ranks, or 128 + the signal. Throws Error where
// there is no MPI or no mpirun.
int launch_ranks(int ranks);

}  // namespace tdds
