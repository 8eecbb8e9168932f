/* The bare libuv echo server the loop's rows are measured against: what it costs when nothing but
 * libuv stands between the socket and the answer.
 *
 * usage: uvecho KIND ADDRESS
 *   KIND is tcp, unix, udp or accept (answer one message, then close). */

#include <uv.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_SIZE (256 * 1024)

typedef union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_udp_t udp;
} any_handle;

typedef struct {
    union {
        uv_write_t write;
        uv_udp_send_t send;
    } request;
    char rest[];
} pending;

static struct {
    uv_loop_t *loop;
    bool is_unix;
    bool closes; /* after the first answer */
    char input[READ_SIZE];
} server;

static void
on_close(uv_handle_t *handle)
{
    free(handle);
}

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(server.input, READ_SIZE);
}

static void
on_written(uv_write_t *request, int status)
{
    (void)status; /* the read side sees what is wrong */
    free(request->data);
}

static void
echo(uv_stream_t *stream, const char *bytes, size_t size)
{
    uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned int)size);
    int sent = uv_try_write(stream, &buf, 1);
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done == size || (sent < 0 && sent != UV_EAGAIN)) {
        return;
    }
    pending *write = malloc(sizeof *write + size - done);
    if (write == NULL) {
        abort();
    }
    memcpy(write->rest, bytes + done, size - done);
    write->request.write.data = write;
    buf = uv_buf_init(write->rest, (unsigned int)(size - done));
    if (uv_write(&write->request.write, stream, &buf, 1, on_written) != 0) {
        free(write);
    }
}

static void
on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    if (size > 0) {
        echo(stream, buf->base, (size_t)size);
    }
    if ((size < 0 || (size > 0 && server.closes)) && !uv_is_closing((uv_handle_t *)stream)) {
        uv_close((uv_handle_t *)stream, on_close);
    }
}

static void
on_connection(uv_stream_t *listener, int status)
{
    any_handle *peer = calloc(1, sizeof *peer);
    if (peer == NULL || status != 0) {
        abort();
    }
    if (server.is_unix) {
        uv_pipe_init(server.loop, &peer->pipe, 0);
    }
    else {
        uv_tcp_init(server.loop, &peer->tcp);
    }
    if (uv_accept(listener, &peer->stream) != 0) {
        uv_close(&peer->handle, on_close);
        return;
    }
    if (!server.is_unix) {
        uv_tcp_nodelay(&peer->tcp, 1);
    }
    uv_read_start(&peer->stream, on_alloc, on_read);
}

static void
on_datagram(uv_udp_t *udp, ssize_t size, const uv_buf_t *buf, const struct sockaddr *from,
            unsigned int flags)
{
    (void)flags;
    if (size > 0 && from != NULL) {
        uv_buf_t out = uv_buf_init(buf->base, (unsigned int)size);
        (void)uv_udp_try_send(udp, &out, 1, from); /* a lost datagram is sent again */
    }
}

static int
listen_on(any_handle *listener, const char *kind, const char *address)
{
    if (server.is_unix) {
        uv_pipe_init(server.loop, &listener->pipe, 0);
        int status = uv_pipe_bind(&listener->pipe, address);
        return status != 0 ? status : uv_listen(&listener->stream, 4096, on_connection);
    }
    struct sockaddr_in to;
    uv_ip4_addr("127.0.0.1", atoi(address), &to);
    if (strcmp(kind, "udp") == 0) {
        uv_udp_init(server.loop, &listener->udp);
        int status = uv_udp_bind(&listener->udp, (const struct sockaddr *)&to, 0);
        return status != 0 ? status : uv_udp_recv_start(&listener->udp, on_alloc, on_datagram);
    }
    uv_tcp_init(server.loop, &listener->tcp);
    int status = uv_tcp_bind(&listener->tcp, (const struct sockaddr *)&to, 0);
    return status != 0 ? status : uv_listen(&listener->stream, 4096, on_connection);
}

int
main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: uvecho KIND ADDRESS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    server.loop = uv_default_loop();
    server.is_unix = strcmp(argv[1], "unix") == 0;
    server.closes = strcmp(argv[1], "accept") == 0;
    any_handle listener;
    int status = listen_on(&listener, argv[1], argv[2]);
    if (status != 0) {
        fprintf(stderr, "uvecho: %s\n", uv_strerror(status));
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    return uv_run(server.loop, UV_RUN_DEFAULT);
}
