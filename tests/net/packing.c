/* tests/net/packing.c - see packing.h. */
#include "packing.h"

#include <stdlib.h>
#include <string.h>

#include "server.h"

static void write_all(FILE *f, const void *bytes, size_t n)
{
    if (n && fwrite(bytes, 1, n, f) != n) abort();
}

/* ==== tar (POSIX.1-1988 ustar) ==== */

void tar_add(FILE *f, const char *name, char type, const char *link, unsigned mode, const void *bytes, size_t n)
{
    static const char zeros[512];
    char h[512] = { 0 };
    unsigned sum = 0;

    snprintf(h, 100, "%s", name);
    snprintf(h + 100, 8, "%07o", mode);
    snprintf(h + 108, 8, "%07o", 0);
    snprintf(h + 116, 8, "%07o", 0);
    snprintf(h + 124, 12, "%011o", (unsigned)n);
    snprintf(h + 136, 12, "%011o", 1000000000);
    memset(h + 148, ' ', 8);
    h[156] = type;
    snprintf(h + 157, 100, "%s", link ? link : "");
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    if (type == '3') {
        snprintf(h + 329, 8, "%07o", 1);
        snprintf(h + 337, 8, "%07o", 3);
    }
    for (int i = 0; i < 512; i++) sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    write_all(f, h, 512);
    write_all(f, bytes, n);
    if (n % 512) write_all(f, zeros, 512 - n % 512);
}

void tar_end(FILE *f)
{
    static const char zeros[1024];
    write_all(f, zeros, sizeof zeros);
    fclose(f);
}

/* ==== zip (APPNOTE 6.3.9) ==== */

static size_t put(unsigned char *p, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) p[i] = (unsigned char)(value >> (8 * i));
    return (size_t)bytes;
}

static uint32_t crc_of(const unsigned char *p, size_t n)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) crc = crc & 1 ? 0xEDB88320u ^ (crc >> 1) : crc >> 1;
    }
    return ~crc;
}

/* The fields that a local header and the directory share. */
static size_t common(unsigned char *p, int method, uint32_t crc, uint32_t packed, uint32_t size, size_t name)
{
    size_t n = 0;
    n += put(p + n, 20, 2);
    n += put(p + n, 0x800, 2); /* names are UTF-8 */
    n += put(p + n, (uint32_t)method, 2);
    n += put(p + n, 0x58210000, 4);
    n += put(p + n, crc, 4);
    n += put(p + n, packed, 4);
    n += put(p + n, size, 4);
    n += put(p + n, (uint32_t)name, 2);
    return n + put(p + n, 0, 2);
}

static void add_directory(zip *z, const char *name, const unsigned char *fields, size_t n)
{
    unsigned char *p = z->directory + z->length;
    size_t k = put(p, 0x02014b50, 4);
    k += put(p + k, 0x031E, 2);
    memcpy(p + k, fields, n);
    k += n;
    k += put(p + k, 0, 2), k += put(p + k, 0, 2), k += put(p + k, 0, 2);
    k += put(p + k, 0x81A40000u, 4);
    k += put(p + k, z->last, 4);
    memcpy(p + k, name, strlen(name));
    z->length += k + strlen(name);
    z->entries++;
}

static void add(zip *z, const char *name, int method, uint32_t crc, const void *packed, size_t n, uint32_t size)
{
    unsigned char head[64];
    z->last = (uint32_t)ftell(z->f);
    size_t k = put(head, 0x04034b50, 4);
    const size_t fields = common(head + k, method, crc, (uint32_t)n, size, strlen(name));
    write_all(z->f, head, k + fields);
    write_all(z->f, name, strlen(name));
    write_all(z->f, packed, n);
    add_directory(z, name, head + k, fields);
}

void zip_add(zip *z, const char *name, const void *bytes, size_t n)
{
    add(z, name, 0, crc_of(bytes, n), bytes, n, (uint32_t)n);
}

void zip_zeros(zip *z, const char *name, int64_t n)
{
    const size_t room = (size_t)n / 158 + 400;
    unsigned char *gz = malloc(room);
    const size_t k = server_gzip_zeros(gz, room, n);
    uint32_t crc = 0;
    for (int i = 0; i < 4; i++) crc |= (uint32_t)gz[k - 8 + (size_t)i] << (8 * i);
    add(z, name, 8, crc, gz + 10, k - 18, (uint32_t)n);
    free(gz);
}

void zip_nested(zip *z, int count, int64_t zeros)
{
    enum { NAME = 6, HEAD = 30 + NAME, MOST = 32 };
    const size_t room = (size_t)zeros / 158 + 400;
    unsigned char *gz = malloc(room), heads[MOST][HEAD], *plain = calloc(1, (size_t)zeros + MOST * HEAD);
    const size_t packed = server_gzip_zeros(gz, room, zeros) - 18;
    size_t from = MOST * HEAD; /* where the current entry's plain bytes begin */
    const int64_t start = ftell(z->f);

    for (int i = count - 1; i >= 0; i--) { /* a header holds the digest of what it quotes: from the last to the first */
        const size_t size = (size_t)zeros + MOST * HEAD - from;
        size_t k = put(heads[i], 0x04034b50, 4);
        k += common(heads[i] + k, 8, crc_of(plain + from, size),
                    (uint32_t)(packed + (size_t)(count - 1 - i) * (5 + HEAD)), (uint32_t)size, NAME);
        char name[16];
        snprintf(name, sizeof name, "zero%02d", i);
        memcpy(heads[i] + k, name, NAME);
        name[NAME] = '\0';
        z->last = (uint32_t)(start + (int64_t)i * (5 + HEAD));
        add_directory(z, name, heads[i] + 4, 26);
        from -= HEAD;
        memcpy(plain + from, heads[i], HEAD);
    }
    for (int i = 0; i < count; i++) {
        const unsigned char quote[5] = { 0, HEAD, 0, (unsigned char)~HEAD, 0xFF }; /* a stored block */
        if (i > 0) write_all(z->f, quote, sizeof quote);
        write_all(z->f, heads[i], HEAD);
    }
    write_all(z->f, gz + 10, packed);
    free(gz);
    free(plain);
}

void zip_end(zip *z)
{
    unsigned char tail[22];
    const uint32_t at = (uint32_t)ftell(z->f);
    write_all(z->f, z->directory, z->length);
    size_t k = put(tail, 0x06054b50, 4);
    k += put(tail + k, 0, 4);
    k += put(tail + k, (uint32_t)z->entries, 2), k += put(tail + k, (uint32_t)z->entries, 2);
    k += put(tail + k, (uint32_t)z->length, 4);
    k += put(tail + k, at, 4);
    k += put(tail + k, 0, 2);
    write_all(z->f, tail, k);
    fclose(z->f);
}
