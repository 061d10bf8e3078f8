/* What splice(2) is worth to a proxy: one thread, epoll, two TCP connections on
 * loopback, moving 64 KiB messages by read and write through a 256 KiB buffer
 * or by splice through a pipe. In turn, n times; prints the medians of
 * splice/copy.
 *
 *     gcc -O2 -o splice splice.c && ./splice 21
 *
 * stream: the source never waits. ping: it waits for one byte back per message.
 * The proxy has core 0, source and sink share core 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MSG = 64 << 10, BUF = 256 << 10 };

static long total;
static int ping, pipesize;
static char buf[BUF];

static void pin(int core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof set, &set);
}

static struct sockaddr_in listener(int *fd)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	*fd = socket(AF_INET, SOCK_STREAM, 0);
	bind(*fd, (void *)&a, len);
	listen(*fd, 1);
	getsockname(*fd, (void *)&a, &len);
	return a;
}

static int nodelay(int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static int dial(struct sockaddr_in a)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (void *)&a, sizeof a))
		_exit(1);
	return nodelay(fd);
}

static void source(int fd)
{
	char ack;
	for (long sent = 0; sent < total; sent += MSG) {
		for (int n = 0, w; n < MSG; n += w)
			if ((w = write(fd, buf, MSG - n)) <= 0)
				_exit(1);
		if (ping && read(fd, &ack, 1) != 1)
			_exit(1);
	}
	shutdown(fd, SHUT_WR);
	read(fd, &ack, 1);
	_exit(0);
}

static void sink(int fd)
{
	long got = 0, owed = 0;
	for (int n; (n = read(fd, buf, BUF)) > 0; got += n)
		for (owed += n; ping && owed >= MSG; owed -= MSG)
			write(fd, "", 1);
	_exit(got != total);
}

/* wants: at most one end is waited for, besides the acknowledgements. */
static void watch(int ep, int a, int b, int full)
{
	struct epoll_event e = {.events = full ? 0 : EPOLLIN, .data.fd = a};
	epoll_ctl(ep, EPOLL_CTL_MOD, a, &e);
	e.events = EPOLLIN | (full ? EPOLLOUT : 0), e.data.fd = b;
	epoll_ctl(ep, EPOLL_CTL_MOD, b, &e);
}

static void proxy(int a, int b, int by_splice)
{
	int ep = epoll_create1(0), p[2], waiting = 0, off = 0, eof = 0, full = 0;
	struct epoll_event e = {.events = EPOLLIN, .data.fd = a}, ev[2];
	epoll_ctl(ep, EPOLL_CTL_ADD, a, &e);
	e.data.fd = b;
	epoll_ctl(ep, EPOLL_CTL_ADD, b, &e);
	pipe2(p, O_NONBLOCK);
	fcntl(p[1], F_SETPIPE_SZ, pipesize);
	while (!eof || waiting) {
		int n = epoll_wait(ep, ev, 2, -1);
		for (int i = 0; i < n; i++) {
			if (ev[i].data.fd == b && ev[i].events & EPOLLIN) {
				char acks[64];
				int k = read(b, acks, sizeof acks);
				if (k > 0)
					write(a, acks, k);
				if (!(ev[i].events & EPOLLOUT))
					continue;
			}
			if (!waiting && !eof) {
				int k = by_splice ? splice(a, 0, p[1], 0, pipesize, SPLICE_F_NONBLOCK) : read(a, buf, BUF);
				eof = k == 0;
				waiting = k > 0 ? k : 0, off = 0;
			}
			if (waiting) {
				int k = by_splice ? splice(p[0], 0, b, 0, waiting, SPLICE_F_NONBLOCK) : write(b, buf + off, waiting);
				if (k > 0)
					waiting -= k, off += k;
			}
			if (full != (waiting > 0))
				watch(ep, a, b, full = waiting > 0);
		}
	}
	shutdown(b, SHUT_WR);
	close(p[0]), close(p[1]), close(ep);
}

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec * 1e-6; }

static void run(int by_splice, double *cpu, double *wall)
{
	int la, lb;
	struct sockaddr_in to_a = listener(&la), to_b = listener(&lb);
	if (!fork())
		pin(1), source(dial(to_a));
	int a = nodelay(accept(la, 0, 0));
	if (!fork())
		close(a), pin(1), sink(nodelay(accept(lb, 0, 0)));
	int b = dial(to_b);
	pin(0);
	fcntl(a, F_SETFL, O_NONBLOCK), fcntl(b, F_SETFL, O_NONBLOCK);

	struct rusage r0, r1;
	struct timespec t0, t1;
	getrusage(RUSAGE_SELF, &r0), clock_gettime(CLOCK_MONOTONIC, &t0);
	proxy(a, b, by_splice);
	clock_gettime(CLOCK_MONOTONIC, &t1), getrusage(RUSAGE_SELF, &r1);
	*cpu = seconds(r1.ru_utime) + seconds(r1.ru_stime) - seconds(r0.ru_utime) - seconds(r0.ru_stime);
	*wall = t1.tv_sec - t0.tv_sec + (t1.tv_nsec - t0.tv_nsec) * 1e-9;

	close(a), close(b), close(la), close(lb);
	for (int status; wait(&status) > 0;)
		if (status)
			fprintf(stderr, "a child failed: %x\n", status), exit(1);
}

static int ascending(const void *a, const void *b) { return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b); }

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 11;
	double cpu[n], wall[n];
	for (ping = 0; ping < 2; ping++)
		for (pipesize = 64 << 10; pipesize <= 1 << 20; pipesize *= 4) {
			total = (ping ? 256L : 1024L) << 20;
			for (int i = 0; i < n; i++) {
				double c0, w0, c1, w1;
				run(0, &c0, &w0), run(1, &c1, &w1);
				cpu[i] = c1 / c0, wall[i] = w1 / w0;
			}
			qsort(cpu, n, sizeof *cpu, ascending), qsort(wall, n, sizeof *wall, ascending);
			printf("%-6s pipe %4d KiB: cpu %.2f, time %.2f\n", ping ? "ping" : "stream", pipesize >> 10, cpu[n / 2], wall[n / 2]);
			fflush(stdout);
		}
}
