/* Numbers and dates to text and back. Calendar arithmetic is the proleptic Gregorian one, counted
 * in years that begin with March so that the leap day comes last. */

#include "base/num.h"

#include <time.h>

#define SECONDS_A_DAY 86400
#define DAYS_TO_1970 719468 /* from 0000-03-01 */
#define DAYS_AN_ERA 146097  /* 400 years */

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

static const char day_names[] = "SunMonTueWedThuFriSat";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

size_t
fio_decimal_write(char text[FIO_DECIMAL_SIZE], uint64_t value)
{
    char reversed[FIO_DECIMAL_SIZE];
    size_t at = FIO_DECIMAL_SIZE;
    while (value >= 100) {
        at -= 2;
        memcpy(reversed + at, digit_pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(reversed + at, digit_pairs + value * 2, 2);
    }
    else {
        reversed[--at] = (char)('0' + value);
    }
    memcpy(text, reversed + at, FIO_DECIMAL_SIZE - at);
    return FIO_DECIMAL_SIZE - at;
}

size_t
fio_hex_write(char text[FIO_HEX_SIZE], uint64_t value)
{
    size_t size = 1;
    for (uint64_t rest = value >> 4; rest != 0; rest >>= 4) {
        size++;
    }
    for (size_t i = size; i-- > 0; value >>= 4) {
        text[i] = "0123456789abcdef"[value & 15];
    }
    return size;
}

bool
fio_decimal_parse(fio_view text, uint64_t max, uint64_t *value)
{
    if (text.size == 0) {
        return false;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < text.size; i++) {
        const unsigned digit = (unsigned)(unsigned char)text.base[i] - '0';
        if (digit > 9 || sum > max / 10 || sum * 10 > max - digit) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

static unsigned char
ascii_lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

bool
fio_ascii_equal(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (ascii_lower((unsigned char)a[i]) != ascii_lower((unsigned char)b[i])) {
            return false;
        }
    }
    return true;
}

static void
two_digits(char *text, int64_t value)
{
    memcpy(text, digit_pairs + value * 2, 2);
}

void
fio_http_date(char text[FIO_HTTP_DATE_SIZE], int64_t unix_seconds)
{
    int64_t days = unix_seconds / SECONDS_A_DAY;
    int64_t second = unix_seconds % SECONDS_A_DAY;
    if (second < 0) {
        second += SECONDS_A_DAY;
        days--;
    }
    /* 1970-01-01 was a Thursday. */
    const int64_t weekday = ((days + 4) % 7 + 7) % 7;
    const int64_t shifted = days + DAYS_TO_1970;
    const int64_t era = (shifted >= 0 ? shifted : shifted - (DAYS_AN_ERA - 1)) / DAYS_AN_ERA;
    const int64_t day_of_era = shifted - era * DAYS_AN_ERA;
    const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524
                                 - day_of_era / 146096)
                                / 365;
    const int64_t day_of_year = day_of_era
                                - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t march_month = (5 * day_of_year + 2) / 153;
    const int64_t month = march_month < 10 ? march_month + 2 : march_month - 10; /* January: 0 */
    const int64_t year = year_of_era + era * 400 + (month < 2);
    assert(year >= 0 && year <= 9999);

    memcpy(text, day_names + weekday * 3, 3);
    memcpy(text + 3, ", ", 2);
    two_digits(text + 5, day_of_year - (153 * march_month + 2) / 5 + 1);
    text[7] = ' ';
    memcpy(text + 8, month_names + month * 3, 3);
    text[11] = ' ';
    two_digits(text + 12, year / 100);
    two_digits(text + 14, year % 100);
    text[16] = ' ';
    two_digits(text + 17, second / 3600);
    text[19] = ':';
    two_digits(text + 20, second / 60 % 60);
    text[22] = ':';
    two_digits(text + 23, second % 60);
    memcpy(text + 25, " GMT", 4);
}

/* -- reading dates --------------------------------------------------------------------------------
 */

typedef struct {
    int year;
    int month; /* January: 1 */
    int day;
    int hour;
    int minute;
    int second;
} calendar;

static bool
is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970-01-01. */
static int64_t
days_of(int year, int month, int day)
{
    const int64_t y = year - (month <= 2);
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t year_of_era = y - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100
                               + day_of_year;
    return era * DAYS_AN_ERA + day_of_era - DAYS_TO_1970;
}

/* Matches `text` with a pattern in which Y, M, D, h, m, s stand for one digit of that number, b for
 * the month's three letters, w for the weekday's; anything else is itself. D also matches a space
 * where `space_day` says so. */
static bool
match_date(fio_view text, const char *pattern, bool space_day, calendar *cal)
{
    const size_t size = strlen(pattern);
    *cal = (calendar){0};
    if (text.size != size + (strchr(pattern, 'b') != NULL ? 2 : 0)) {
        return false;
    }
    const char *p = text.base;
    for (const char *want = pattern; *want != '\0'; want++) {
        if (*want == 'b') {
            for (cal->month = 1; cal->month <= 12; cal->month++) {
                if (memcmp(p, month_names + (cal->month - 1) * 3, 3) == 0) {
                    break;
                }
            }
            p += 3;
            continue;
        }
        int *part = *want == 'Y'   ? &cal->year
                    : *want == 'D' ? &cal->day
                    : *want == 'h' ? &cal->hour
                    : *want == 'm' ? &cal->minute
                    : *want == 's' ? &cal->second
                                   : NULL;
        if (part == NULL) {
            if (*p++ != *want) {
                return false;
            }
            continue;
        }
        if (*p >= '0' && *p <= '9') {
            *part = *part * 10 + (*p - '0');
        }
        else if (!(space_day && *want == 'D' && *part == 0 && *p == ' ')) {
            return false;
        }
        p++;
    }
    return true;
}

static bool
calendar_seconds(const calendar *cal, int64_t *unix_seconds)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (cal->month < 1 || cal->month > 12 || cal->day < 1 || cal->hour > 23 || cal->minute > 59
        || cal->second > 60) {
        return false;
    }
    const int days = month_days[cal->month - 1] + (cal->month == 2 && is_leap(cal->year));
    if (cal->day > days) {
        return false;
    }
    *unix_seconds = days_of(cal->year, cal->month, cal->day) * SECONDS_A_DAY
                    + (int64_t)cal->hour * 3600 + (int64_t)cal->minute * 60 + cal->second;
    return true;
}

/* RFC 9110 5.6.7: a two-digit year more than 50 years ahead is one of the past. */
static int
full_year(int two_digits)
{
    char now[FIO_HTTP_DATE_SIZE];
    fio_http_date(now, (int64_t)time(NULL));
    const int this_year = (now[12] - '0') * 1000 + (now[13] - '0') * 100 + (now[14] - '0') * 10
                          + (now[15] - '0');
    const int year = this_year / 100 * 100 + two_digits;
    return year > this_year + 50 ? year - 100 : year;
}

bool
fio_http_date_parse(fio_view text, int64_t *unix_seconds)
{
    calendar cal;
    /* The weekday's name says nothing the date does not, so it is stepped over. */
    const char *comma = memchr(text.base, ',', text.size);
    if (comma == NULL) {
        /* asctime: "Sun Nov  6 08:49:37 1994" */
        return text.size > 3
               && match_date((fio_view){text.base + 3, text.size - 3}, " b DD hh:mm:ss YYYY", true,
                             &cal)
               && calendar_seconds(&cal, unix_seconds);
    }
    const fio_view rest = {comma + 1, text.size - (size_t)(comma + 1 - text.base)};
    if (match_date(rest, " DD b YYYY hh:mm:ss GMT", false, &cal)) {
        return calendar_seconds(&cal, unix_seconds);
    }
    if (match_date(rest, " DD-b-YY hh:mm:ss GMT", false, &cal)) {
        cal.year = full_year(cal.year);
        return calendar_seconds(&cal, unix_seconds);
    }
    return false;
}
