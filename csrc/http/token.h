#ifndef FIO_HTTP_TOKEN_H
#define FIO_HTTP_TOKEN_H

/* The words of HTTP: which bytes may stand where, names of methods, fields and statuses. */

#include "http/message.h"

/* Classes of bytes, bits of fio_char_class[byte]. */
#define FIO_CHAR_TOKEN 0x01  /* tchar, RFC 9110 5.6.2 */
#define FIO_CHAR_VALUE 0x02  /* of a field value, RFC 9110 5.5: VCHAR, obs-text, SP, HTAB */
#define FIO_CHAR_HOST 0x04   /* of a reg-name but '%', RFC 3986 3.2.2 */
#define FIO_CHAR_HEX 0x08    /* HEXDIG */
#define FIO_CHAR_LINE 0x10   /* anything but NUL, CR and LF */
#define FIO_CHAR_TARGET 0x20 /* visible ASCII */

extern const uint8_t fio_char_class[256];

static inline bool
fio_char_is(char c, unsigned classes)
{
    return (fio_char_class[(unsigned char)c] & classes) != 0;
}

/* Every byte of `text` is of one of the classes (true for an empty one). */
bool fio_text_is(fio_view text, unsigned classes);

/* A token: not empty, RFC 9110 5.6.2. */
bool fio_is_token(fio_view text);

/* Text an application may put into a field value or reason phrase: no NUL, CR, LF. */
bool fio_is_line_text(fio_view text);

fio_method fio_method_lookup(fio_view name);

/* Which of the fields the engine knows a name (any case) stands for. */
fio_field_id fio_field_lookup(const char *name, size_t size);

/* The standard reason phrase of a status, "" when it has none. */
const char *fio_status_reason(int status);

/* "HTTP/1.1 200 OK\r\n" of a status with a standard reason; size 0 for others. */
fio_view fio_status_line(int status);

/* The next member of a comma-separated list (RFC 9110 5.6.1), without the white space around it;
 * *rest moves behind it. False at the end. Empty members are given like others. */
bool fio_list_next(fio_view *rest, fio_view *member);

/* `text` without the SP and HTAB at both ends. */
fio_view fio_trim(fio_view text);

/* uri-host [ ":" port ] of RFC 3986 3.2.2 with a port of at most 65535. An empty one is a valid
 * authority only where the caller says so. */
bool fio_is_authority(fio_view text, bool port_required);

#endif
