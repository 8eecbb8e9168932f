/* The load of the loop's benchmarks: connections that each send a message, wait for the whole
 * reply, and send the next. Prints the number of replies.
 *
 * usage: pump KIND ADDRESS REQUEST REPLY CONNECTIONS MILLISECONDS
 *   KIND is tcp, unix, udp (ADDRESS a port, a path, a port) or accept: a new TCP connection for
 *   each message, which the server closes after its reply. REQUEST and REPLY are sizes in bytes. */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS 128
#define RESEND_MS 200 /* a datagram not answered by then is sent again */

typedef struct {
    int fd;
    size_t to_send;
    size_t to_receive;
} peer;

static struct {
    const char *kind;
    const char *address;
    size_t request;
    size_t reply;
    char *bytes; /* what is sent */
    char *input; /* where replies go, all over each other */
    bool once;   /* a connection is good for one message */
    unsigned long replies;
} load;

static void
fail(const char *what)
{
    fprintf(stderr, "pump: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int
connected(void)
{
    bool is_unix = strcmp(load.kind, "unix") == 0;
    bool is_udp = strcmp(load.kind, "udp") == 0;
    int fd = socket(is_unix ? AF_UNIX : AF_INET, is_udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    if (fd < 0) {
        fail("socket");
    }
    int done;
    if (is_unix) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        snprintf(to.sun_path, sizeof to.sun_path, "%s", load.address);
        done = connect(fd, (const struct sockaddr *)&to, sizeof to);
    }
    else {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(load.address))};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        done = connect(fd, (const struct sockaddr *)&to, sizeof to);
    }
    if (done != 0) {
        fail("connect");
    }
    if (!is_unix && !is_udp) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    return fd;
}

static void
peer_watch(int epoll, peer *self, int operation, bool writable)
{
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = self};
    if (epoll_ctl(epoll, operation, self->fd, &event) != 0) {
        fail("epoll_ctl");
    }
}

/* Sends what is left of the message; true when all of it went. */
static bool
peer_send(peer *self)
{
    while (self->to_send > 0) {
        ssize_t sent = send(self->fd, load.bytes + load.request - self->to_send, self->to_send,
                            MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) {
                return false;
            }
            fail("send");
        }
        self->to_send -= (size_t)sent;
    }
    return true;
}

static void
peer_open(int epoll, peer *self)
{
    self->fd = connected();
    fcntl(self->fd, F_SETFL, O_NONBLOCK);
    peer_watch(epoll, self, EPOLL_CTL_ADD, false);
}

static void
peer_next(int epoll, peer *self)
{
    self->to_send = load.request;
    self->to_receive = load.reply;
    if (!peer_send(self)) {
        peer_watch(epoll, self, EPOLL_CTL_MOD, true);
    }
}

static void
peer_on_event(int epoll, peer *self, uint32_t events)
{
    if (events & EPOLLOUT && peer_send(self)) {
        peer_watch(epoll, self, EPOLL_CTL_MOD, false);
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        return;
    }
    ssize_t got = recv(self->fd, load.input, load.reply, 0);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got == 0 && load.once && self->to_receive == 0) {
        close(self->fd);
        load.replies++;
        peer_open(epoll, self);
        peer_next(epoll, self);
        return;
    }
    if (got <= 0) {
        fail("recv");
    }
    self->to_receive -= (size_t)got < self->to_receive ? (size_t)got : self->to_receive;
    if (self->to_receive == 0 && !load.once) {
        load.replies++;
        peer_next(epoll, self);
    }
}

/* Says that all stand ready and waits for a line: from then on the server's time is counted. */
static void
wait_for_start(void)
{
    printf("ready\n");
    fflush(stdout);
    (void)getchar();
}

static void
run_connections(int count, int milliseconds)
{
    struct epoll_event events[MAX_EVENTS];
    int epoll = epoll_create1(0);
    peer *peers = calloc((size_t)count, sizeof *peers);
    if (epoll < 0 || peers == NULL) {
        fail("start");
    }
    for (int i = 0; i < count; i++) {
        peer_open(epoll, &peers[i]);
    }
    wait_for_start();
    int64_t end = now_ms() + milliseconds;
    for (int i = 0; i < count; i++) {
        peer_next(epoll, &peers[i]);
    }
    while (now_ms() < end) {
        int ready = epoll_wait(epoll, events, MAX_EVENTS, RESEND_MS);
        for (int i = 0; i < ready; i++) {
            peer_on_event(epoll, events[i].data.ptr, events[i].events);
        }
        for (int i = 0; ready == 0 && strcmp(load.kind, "udp") == 0 && i < count; i++) {
            peer_next(epoll, &peers[i]);
        }
    }
}

int
main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: pump KIND ADDRESS REQUEST REPLY CONNECTIONS MILLISECONDS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    load.kind = argv[1];
    load.address = argv[2];
    load.request = strtoul(argv[3], NULL, 10);
    load.reply = strtoul(argv[4], NULL, 10);
    load.bytes = malloc(load.request);
    load.input = malloc(load.reply);
    if (load.bytes == NULL || load.input == NULL) {
        fail("memory");
    }
    memset(load.bytes, 'm', load.request);
    load.once = strcmp(load.kind, "accept") == 0;
    run_connections(atoi(argv[5]), atoi(argv[6]));
    printf("%lu\n", load.replies);
    return 0;
}
