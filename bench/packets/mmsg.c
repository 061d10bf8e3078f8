/* UDP packets echoed by C alone, in batches: what the others are compared with.
 *
 *     mmsg PORT     0: a free one; prints the address when it listens
 *
 * epoll, recvmmsg until less than a batch comes, and each batch sent back from where
 * it lies.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BATCH = 64, SIZE = 64 << 10, STRIDE = SIZE + 17 * 64 };

static char bytes[BATCH][STRIDE]; /* not a power of two: the beginnings are all that is used */
static struct sockaddr_in names[BATCH];
static struct iovec parts[BATCH];
static struct mmsghdr msgs[BATCH];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void answer(int fd, int n)
{
	for (int i = 0; i < n; i++)
		parts[i].iov_len = msgs[i].msg_len;
	for (int done = 0; done < n;) {
		int sent = sendmmsg(fd, msgs + done, n - done, MSG_DONTWAIT);
		if (sent >= 0) {
			done += sent;
		} else if (errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};
			poll(&p, 1, -1);
		} else {
			die("sendmmsg");
		}
	}
}

static void readable(int fd)
{
	int n;
	do {
		for (int i = 0; i < BATCH; i++) {
			parts[i] = (struct iovec){.iov_base = bytes[i], .iov_len = SIZE};
			msgs[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_namelen = sizeof names[i],
				.msg_iov = &parts[i], .msg_iovlen = 1};
		}
		n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				die("recvmmsg");
			return;
		}
		answer(fd, n);
	} while (n == BATCH);
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	if (argc == 2)
		a.sin_port = htons(atoi(argv[1]));
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (void *)&a, len) || getsockname(fd, (void *)&a, &len))
		die("bind");
	struct epoll_event ev, e = {.events = EPOLLIN};
	int ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
		die("epoll");
	printf("127.0.0.1:%d\n", ntohs(a.sin_port));
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, &ev, 1, -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		if (n > 0)
			readable(fd);
	}
}
