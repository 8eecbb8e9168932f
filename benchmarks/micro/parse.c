/* What reading a request head costs in C: the server's parser (csrc/http/parser.c) and llhttp alone
 * with a settings table that only counts. Prints "ours N llhttp M", nanoseconds, the lowest of
 * several rounds; the head comes on standard input. */

#include "http/parser.h"

#include <llhttp.h>
#include <stdio.h>
#include <time.h>

enum { ROUNDS = 15, HEADS = 20000 };

static double
now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int
ours(const char *data, size_t size)
{
    static fio_head head;
    fio_parser parser;
    fio_parser_start(&parser, &fio_limits_default, &head);
    return fio_parser_head(&parser, data, size) == FIO_PARSER_HEAD;
}

typedef struct {
    llhttp_t parser;
    size_t spans;
} counter;

static int
on_span(llhttp_t *parser, const char *at, size_t size)
{
    (void)at;
    ((counter *)parser)->spans += size;
    return 0;
}

static int
on_headers_complete(llhttp_t *parser)
{
    ((counter *)parser)->spans++;
    return HPE_PAUSED;
}

static int
theirs(const char *data, size_t size)
{
    static const llhttp_settings_t settings = {
        .on_url = on_span,
        .on_header_field = on_span,
        .on_header_value = on_span,
        .on_headers_complete = on_headers_complete,
    };
    counter count = {.spans = 0};
    llhttp_init(&count.parser, HTTP_REQUEST, &settings);
    return llhttp_execute(&count.parser, data, size) == HPE_PAUSED && count.spans > 0;
}

static double
cost(int (*read)(const char *data, size_t size), const char *data, size_t size)
{
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const double start = now();
        for (int i = 0; i < HEADS; i++) {
            if (!read(data, size)) {
                return -1;
            }
        }
        const double each = (now() - start) / HEADS;
        best = round == 0 || each < best ? each : best;
    }
    return best;
}

int
main(void)
{
    static char data[65536];
    const size_t size = fread(data, 1, sizeof(data), stdin);
    const double a = cost(ours, data, size);
    const double b = cost(theirs, data, size);
    printf("%.1f %.1f\n", a, b);
    return a < 0 || b < 0;
}
