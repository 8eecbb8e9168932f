/* Which form a request target has, whether its method allows it, and where its parts are. The bytes
 * are visible ASCII by now: the parser has seen to that. */

#include "http/target.h"

#include "base/num.h"
#include "http/token.h"

static int
refuse(const char **reason, const char *why)
{
    *reason = why;
    return FIO_E_BAD_REQUEST;
}

/* [path] [ "?" query ] in the span from `start` to the target's end. */
static void
split_query(fio_head *head, const char *base, uint32_t start)
{
    const uint32_t end = head->target.offset + head->target.size;
    const char *mark = memchr(base + start, '?', end - start);
    const uint32_t path_end = mark == NULL ? end : (uint32_t)(mark - base);
    head->path = (fio_span){start, path_end - start};
    head->query = mark == NULL ? (fio_span){end, 0} : (fio_span){path_end + 1, end - path_end - 1};
}

/* RFC 9112 3.2.2: http://authority[/path][?query], also https. */
static int
split_absolute(fio_head *head, const char *base, const char **reason)
{
    const fio_view target = fio_span_view(base, head->target);
    size_t scheme = 0;
    if (target.size > 7 && fio_ascii_equal(target.base, "http://", 7)) {
        scheme = 7;
    }
    else if (target.size > 8 && fio_ascii_equal(target.base, "https://", 8)) {
        scheme = 8;
    }
    else {
        return refuse(reason, "invalid request target");
    }
    size_t end = scheme;
    while (end < target.size && target.base[end] != '/' && target.base[end] != '?') {
        end++;
    }
    /* RFC 9110 4.2.4: user information in it is an error; it is no part of an authority here. */
    if (!fio_is_authority((fio_view){target.base + scheme, end - scheme}, false)) {
        return refuse(reason, "invalid authority in request target");
    }
    head->host = (fio_span){head->target.offset + (uint32_t)scheme, (uint32_t)(end - scheme)};
    split_query(head, base, head->target.offset + (uint32_t)end);
    if (head->path.size == 0) {
        /* An empty path means "/": the last one of "://" serves. */
        head->path = (fio_span){head->target.offset + (uint32_t)scheme - 1, 1};
    }
    return FIO_OK;
}

int
fio_target_split(fio_head *head, const char *base, const char **reason)
{
    const fio_view target = fio_span_view(base, head->target);
    if (target.size == 0) {
        return refuse(reason, "empty request target");
    }
    if (memchr(target.base, '#', target.size) != NULL) {
        return refuse(reason, "fragment in request target");
    }
    if (head->method == FIO_METHOD_CONNECT) {
        /* RFC 9112 3.2.3: authority-form, the port is required. */
        if (!fio_is_authority(target, true)) {
            return refuse(reason, "CONNECT needs host:port");
        }
        head->host = head->target;
        head->path = (fio_span){head->target.offset, 0};
        head->query = head->path;
        return FIO_OK;
    }
    if (target.base[0] == '/') {
        split_query(head, base, head->target.offset);
        return FIO_OK;
    }
    if (target.base[0] == '*' && target.size == 1 && head->method == FIO_METHOD_OPTIONS) {
        head->path = head->target;
        head->query = (fio_span){head->target.offset + 1, 0};
        return FIO_OK;
    }
    return split_absolute(head, base, reason);
}
