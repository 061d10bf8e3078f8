/* What the loads have in common. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	exit(1);
}

static void die_errno(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t nanos(clockid_t clock)
{
	struct timespec t;
	if (clock_gettime(clock, &t))
		die_errno("clock_gettime");
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* The CPU time of all threads of a process, also of those that have ended. */
static clockid_t clock_of(int pid)
{
	clockid_t cpu;
	if ((errno = clock_getcpuclockid(pid, &cpu)))
		die_errno("clock_getcpuclockid");
	return cpu;
}

/* n messages came back in so many nanoseconds, of which the server used some. */
static void result(uint64_t n, uint64_t took, uint64_t used)
{
	if (n == 0)
		die("nothing came back in the time measured");
	printf("{\"per_s\": %.0f, \"cpu_ns\": %.2f}\n", n * 1e9 / took, (double)used / n);
}
