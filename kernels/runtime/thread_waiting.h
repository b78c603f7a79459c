#pragma once
// How the threads of a host device wait for each other.

namespace tdds {

// Makes waiting OpenMP threads spin briefly and then sleep. By default a waiting thread of GCC's libgomp
// spins for seconds; where another process has the core of the thread that it waits for, it burns that
// thread's time, at each of hundreds of barriers a step: two trainings on one machine then run at a twentieth
// of their speed.
//
// libgomp reads its spin count from the environment as it is loaded, before any code of the program. So this
// sets GOMP_SPINCOUNT and executes the program again, once: call it as the first act of main. It does nothing
// where OMP_WAIT_POLICY or GOMP_SPINCOUNT are set, and returns where the program cannot be executed again.
void wait_briefly_then_sleep(char** argv);

}  // namespace tdds
