#ifndef FIO_BASE_NUM_H
#define FIO_BASE_NUM_H

/* Numbers and dates as the text protocols write them: decimal, hexadecimal, HTTP dates. No locale,
 * no allocation. */

#include "base/base.h"

/* Most digits of a uint64_t in decimal / hexadecimal. */
#define FIO_DECIMAL_SIZE 20
#define FIO_HEX_SIZE 16

/* Writes `value` without leading zeros and without NUL; returns the number of characters. */
size_t fio_decimal_write(char text[FIO_DECIMAL_SIZE], uint64_t value);
size_t fio_hex_write(char text[FIO_HEX_SIZE], uint64_t value);

/* Value of a hexadecimal digit, or -1. */
static inline int
fio_hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 1*DIGIT and nothing else, of at most `max`: true and *value; false otherwise. */
bool fio_decimal_parse(fio_view text, uint64_t max, uint64_t *value);

/* The same bytes, ASCII letters compared without case. */
bool fio_ascii_equal(const char *a, const char *b, size_t size);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7), 29 characters without NUL. Years 0 to 9999. */
#define FIO_HTTP_DATE_SIZE 29
void fio_http_date(char text[FIO_HTTP_DATE_SIZE], int64_t unix_seconds);

/* Seconds since 1970 of any of the three forms of RFC 9110 5.6.7; false when it is none of them or
 * names a moment that does not exist. */
bool fio_http_date_parse(fio_view text, int64_t *unix_seconds);

#endif
