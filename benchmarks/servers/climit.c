/* The bare C server of the benchmarks: libuv and llhttp with nothing between them, giving the same
 * answers as the other contenders. It is the floor they are measured against, so it has no limits,
 * no time-outs and no error answers: a request it cannot read closes the connection.
 *
 * usage: climit PORT PAGE LAYERS
 *   PAGE is the file answered for /page, LAYERS the number of functions each answer goes through
 *   (the C twin of middlewares). */

#include <llhttp.h>
#include <uv.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE 65536
#define TARGET_SIZE 1024
#define PAGE_SIZE 65536
#define CHUNK_SIZE 1024
#define CHUNK_COUNT 64
#define KEEP_OUTPUT 16384 /* an output buffer larger than this is not kept between answers */

typedef struct {
    char *bytes;
    size_t size;
    size_t capacity;
} buffer;

typedef struct {
    const char *at;
    size_t size;
} view;

typedef struct {
    uv_tcp_t tcp;
    llhttp_t parser;
    char target[TARGET_SIZE];
    size_t target_size;
    buffer body;
    buffer output;
    bool streaming; /* the head of /stream is out, its chunks are not */
} connection;

typedef struct {
    uv_write_t request;
    char rest[];
} pending_write;

static struct {
    uv_loop_t *loop;
    llhttp_settings_t settings;
    const char *page;
    int layers;
    char date[64];
    char input[READ_SIZE];
    char page_bytes[PAGE_SIZE];
    char chunk[CHUNK_SIZE + 16];
    size_t chunk_size;
} server;

/* -- bytes -- */

static void
buffer_add(buffer *self, const char *bytes, size_t size)
{
    if (self->size + size > self->capacity) {
        self->capacity = (self->size + size) * 2 + 512;
        self->bytes = realloc(self->bytes, self->capacity);
        if (self->bytes == NULL) {
            abort();
        }
    }
    memcpy(self->bytes + self->size, bytes, size);
    self->size += size;
}

static void
buffer_text(buffer *self, const char *text)
{
    buffer_add(self, text, strlen(text));
}

static void
buffer_number(buffer *self, size_t number)
{
    char digits[24];
    char *at = digits + sizeof digits;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    buffer_add(self, at, (size_t)(digits + sizeof digits - at));
}

static bool
view_is(view self, const char *text)
{
    return self.size == strlen(text) && memcmp(self.at, text, self.size) == 0;
}

/* The value of a query's field with a name of one letter. */
static view
query_field(view query, char name)
{
    const char *at = query.at;
    const char *end = query.at + query.size;
    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        if (stop == NULL) {
            stop = end;
        }
        if (stop - at >= 2 && at[0] == name && at[1] == '=') {
            return (view){at + 2, (size_t)(stop - at - 2)};
        }
        at = stop + 1;
    }
    return (view){"", 0};
}

/* -- answers -- */

static void
add_layers(buffer *output, int layer)
{
    if (layer > server.layers) {
        return;
    }
    add_layers(output, layer + 1);
    buffer_text(output, "X-Layer-");
    buffer_number(output, (size_t)layer);
    buffer_text(output, ": 1\r\n");
}

static void
add_head(buffer *output, const char *type)
{
    buffer_text(output, "HTTP/1.1 200 OK\r\nContent-Type: ");
    buffer_text(output, type);
    buffer_text(output, "\r\nServer: climit\r\n");
    buffer_text(output, server.date);
    add_layers(output, 1);
}

static void
answer(connection *self, const char *type, const char *body, size_t size)
{
    add_head(&self->output, type);
    buffer_text(&self->output, "Content-Length: ");
    buffer_number(&self->output, size);
    buffer_text(&self->output, "\r\n\r\n");
    buffer_add(&self->output, body, size);
}

/* From the disk on each request, as a file response does. */
static void
answer_page(connection *self)
{
    int fd = open(server.page, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (fd < 0 || fstat(fd, &about) != 0 || about.st_size > PAGE_SIZE) {
        abort();
    }
    ssize_t size = read(fd, server.page_bytes, (size_t)about.st_size);
    close(fd);
    answer(self, "text/html", server.page_bytes, size < 0 ? 0 : (size_t)size);
}

static void
answer_api(connection *self, view name, view query)
{
    char json[TARGET_SIZE + 64];
    view a = query_field(query, 'a');
    view b = query_field(query, 'b');
    int size = snprintf(json, sizeof json, "{\"name\": \"%.*s\", \"a\": \"%.*s\", \"b\": \"%.*s\"}",
                        (int)name.size, name.at, (int)a.size, a.at, (int)b.size, b.at);
    answer(self, "application/json", json, (size_t)size);
}

static void
answer_stream(connection *self)
{
    add_head(&self->output, "application/octet-stream");
    buffer_text(&self->output, "Transfer-Encoding: chunked\r\n\r\n");
    self->streaming = true;
}

static void
route(connection *self)
{
    static const char hello[] = "Hello, World!";
    static const char json[] = "{\"message\": \"Hello, World!\"}";
    view path = {self->target, self->target_size};
    view query = {"", 0};
    const char *mark = memchr(path.at, '?', path.size);
    if (mark != NULL) {
        query = (view){mark + 1, (size_t)(path.at + path.size - mark - 1)};
        path.size = (size_t)(mark - path.at);
    }
    if (view_is(path, "/") || view_is(path, "/sleep0")) {
        answer(self, "text/plain; charset=utf-8", hello, sizeof hello - 1);
    }
    else if (view_is(path, "/json")) {
        answer(self, "application/json", json, sizeof json - 1);
    }
    else if (view_is(path, "/echo")) {
        answer(self, "application/octet-stream", self->body.bytes, self->body.size);
    }
    else if (view_is(path, "/page")) {
        answer_page(self);
    }
    else if (view_is(path, "/stream")) {
        answer_stream(self);
    }
    else if (path.size > 5 && memcmp(path.at, "/api/", 5) == 0) {
        answer_api(self, (view){path.at + 5, path.size - 5}, query);
    }
    else {
        buffer_text(&self->output, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    }
}

/* -- the parser's calls -- */

static int
parser_on_begin(llhttp_t *parser)
{
    connection *self = parser->data;
    self->target_size = 0;
    self->body.size = 0;
    return 0;
}

static int
parser_on_url(llhttp_t *parser, const char *at, size_t size)
{
    connection *self = parser->data;
    if (self->target_size + size > TARGET_SIZE) {
        return -1;
    }
    memcpy(self->target + self->target_size, at, size);
    self->target_size += size;
    return 0;
}

static int
parser_on_body(llhttp_t *parser, const char *at, size_t size)
{
    connection *self = parser->data;
    buffer_add(&self->body, at, size);
    return 0;
}

static int
parser_on_complete(llhttp_t *parser)
{
    route(parser->data);
    return 0;
}

/* -- the socket -- */

static void
connection_on_close(uv_handle_t *handle)
{
    connection *self = handle->data;
    free(self->body.bytes);
    free(self->output.bytes);
    free(self);
}

static void
connection_close(connection *self)
{
    if (!uv_is_closing((uv_handle_t *)&self->tcp)) {
        uv_close((uv_handle_t *)&self->tcp, connection_on_close);
    }
}

static void
connection_on_written(uv_write_t *request, int status)
{
    (void)status; /* a failed write is seen again by the read side */
    free(request->data);
}

static void
connection_queue(connection *self, const char *bytes, size_t size)
{
    pending_write *write = malloc(sizeof *write + size);
    if (write == NULL) {
        abort();
    }
    memcpy(write->rest, bytes, size);
    write->request.data = write;
    uv_buf_t buf = uv_buf_init(write->rest, (unsigned int)size);
    if (uv_write(&write->request, (uv_stream_t *)&self->tcp, &buf, 1, connection_on_written) != 0) {
        free(write);
        connection_close(self);
    }
}

static void
connection_flush(connection *self)
{
    buffer *output = &self->output;
    if (output->size == 0 || uv_is_closing((uv_handle_t *)&self->tcp)) {
        return;
    }
    uv_buf_t buf = uv_buf_init(output->bytes, (unsigned int)output->size);
    int sent = uv_try_write((uv_stream_t *)&self->tcp, &buf, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        connection_close(self);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done < output->size) {
        connection_queue(self, output->bytes + done, output->size - done);
    }
    output->size = 0;
    if (output->capacity > KEEP_OUTPUT) {
        free(output->bytes);
        *output = (buffer){0};
    }
}

/* Each chunk is a write of its own, as a handler that waits between chunks makes it. */
static void
connection_stream(connection *self)
{
    for (int i = 0; i < CHUNK_COUNT; i++) {
        connection_flush(self);
        buffer_add(&self->output, server.chunk, server.chunk_size);
    }
    buffer_text(&self->output, "0\r\n\r\n");
    self->streaming = false;
}

static void
connection_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(server.input, READ_SIZE);
}

static void
connection_on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    connection *self = stream->data;
    if (size == 0) {
        return;
    }
    if (size < 0 || llhttp_execute(&self->parser, buf->base, (size_t)size) != HPE_OK) {
        connection_close(self);
        return;
    }
    if (self->streaming) {
        connection_stream(self);
    }
    connection_flush(self);
}

static void
server_on_connection(uv_stream_t *listener, int status)
{
    if (status != 0) {
        return;
    }
    connection *self = calloc(1, sizeof *self);
    if (self == NULL) {
        abort();
    }
    uv_tcp_init(server.loop, &self->tcp);
    self->tcp.data = self;
    llhttp_init(&self->parser, HTTP_REQUEST, &server.settings);
    self->parser.data = self;
    if (uv_accept(listener, (uv_stream_t *)&self->tcp) != 0 || uv_tcp_nodelay(&self->tcp, 1) != 0
        || uv_read_start((uv_stream_t *)&self->tcp, connection_on_alloc, connection_on_read) != 0) {
        connection_close(self);
    }
}

static void
server_on_second(uv_timer_t *timer)
{
    (void)timer;
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(server.date, sizeof server.date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
}

static void
server_prepare(char **argv)
{
    server.loop = uv_default_loop();
    server.page = argv[2];
    server.layers = atoi(argv[3]);
    server.chunk_size = (size_t)snprintf(server.chunk, sizeof server.chunk, "%x\r\n", CHUNK_SIZE);
    memset(server.chunk + server.chunk_size, 'x', CHUNK_SIZE);
    server.chunk_size += CHUNK_SIZE;
    memcpy(server.chunk + server.chunk_size, "\r\n", 2);
    server.chunk_size += 2;
    llhttp_settings_init(&server.settings);
    server.settings.on_message_begin = parser_on_begin;
    server.settings.on_url = parser_on_url;
    server.settings.on_body = parser_on_body;
    server.settings.on_message_complete = parser_on_complete;
}

int
main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: climit PORT PAGE LAYERS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    server_prepare(argv);
    uv_timer_t second;
    uv_timer_init(server.loop, &second);
    server_on_second(&second);
    uv_timer_start(&second, server_on_second, 1000, 1000);
    uv_tcp_t listener;
    struct sockaddr_in address;
    if (uv_tcp_init(server.loop, &listener) != 0
        || uv_ip4_addr("127.0.0.1", atoi(argv[1]), &address) != 0
        || uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0) != 0
        || uv_listen((uv_stream_t *)&listener, 4096, server_on_connection) != 0) {
        fprintf(stderr, "climit: cannot listen on port %s\n", argv[1]);
        return 1;
    }
    return uv_run(server.loop, UV_RUN_DEFAULT);
}
