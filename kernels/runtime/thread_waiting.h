#pragma once
// How the threads of a host device wait for each other.

namespace tdds {

// Makes waiting OpenMP threads spin briefly and then sleep. By default a waiting thread of GCC's libgomp
// spins for seconds. If another process occupies the core of the thread it waits for, spinning takes time
// from that thread, at each of the hundreds of barriers of a step: two trainings on one machine then run at a
// twentieth of their speed.
//
// libgomp reads its spin count from the environment when it is loaded, before any code of the program runs.
// So this function sets GOMP_SPINCOUNT and executes the program again, once. Call it first in main. It does
// nothing if OMP_WAIT_POLICY or GOMP_SPINCOUNT is set, and returns if the program cannot be executed again.
void wait_briefly_then_sleep(char** argv);

}  // namespace tdds
