/* runtime/net/names.c - see names.h. */
#include "net/names.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"
#include "net/guard.h"

/* Length of the UTF-8 sequence at p, or 0 (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *p)
{
    if (p[0] < 0x80) return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF) return (p[1] & 0xC0) == 0x80 ? 2 : 0;
    if ((p[0] & 0xF0) == 0xE0) {
        if ((p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80) return 0;
        return (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ? 0 : 3;
    }
    if (p[0] < 0xF0 || p[0] > 0xF4) return 0;
    if ((p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80 || (p[3] & 0xC0) != 0x80) return 0;
    return (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F) ? 0 : 4;
}

static ft_status check_bytes(const char *name, ft_err *e)
{
    for (const unsigned char *p = (const unsigned char *)name; *p;) {
        const size_t n = utf8_length(p);
        if (n == 0) return ft_fail(e, FT_EDATA, "a name in it is not UTF-8; declare its encoding");
        if (*p < 0x20 || *p == 0x7F || *p == '\\')
            return ft_fail(e, FT_EDATA, "a name in it has a control byte or a backslash");
        p += n;
    }
    return FT_OK;
}

ft_status ft_name_check(const char *name, int depth, char *out, size_t size, ft_err *e)
{
    size_t len = 0;
    int parts = 0;

    ft_status s = check_bytes(name, e);
    if (!s && FT_GUARDS(NAMES) && *name == '/') s = ft_fail(e, FT_EDATA, "%.200s: an absolute name", name);
    if (!FT_GUARDS(NAMES) && *name == '/' && size > 1) out[len++] = '/';
    for (const char *p = name; !s && *p;) {
        const size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.' && FT_GUARDS(NAMES))
            s = ft_fail(e, FT_EDATA, "%.200s: a name that leads out (..)", name);
        else if (n > 255 || len + n + 2 > size)
            s = ft_fail(e, FT_EDATA, "%.200s...: a name that is too long", name);
        else if (n > 0 && !(n == 1 && *p == '.')) {
            if (++parts > depth && FT_GUARDS(DEPTH))
                s = ft_fail(e, FT_EDATA, "%.200s: folders are nested deeper than %d", name, depth);
            if (len && out[len - 1] != '/') out[len++] = '/';
            memcpy(out + len, p, n);
            len += n;
        }
        p += n + (p[n] == '/');
    }
    out[len] = '\0';
    return s;
}

/* ==== The set: open addressing, FNV-1a of the lower-case name ==== */

static uint64_t hash_of(const char *name)
{
    uint64_t h = 1469598103934665603u;
    for (; *name; name++) h = (h ^ (unsigned char)(*name >= 'A' && *name <= 'Z' ? *name + 32 : *name)) * 1099511628211u;
    return h;
}

static size_t find(const ft_names *set, const char *name)
{
    size_t i = (size_t)hash_of(name) & (set->cap - 1);
    while (set->slot[i] && strcasecmp(set->slot[i], name)) i = (i + 1) & (set->cap - 1);
    return i;
}

static ft_status grow(ft_names *set, ft_err *e)
{
    ft_names larger = { NULL, set->n, set->cap ? set->cap * 2 : 64 };
    if (!(larger.slot = ft_calloc(larger.cap, sizeof *larger.slot)))
        return ft_fail_mem(e, larger.cap * sizeof *larger.slot);
    for (size_t i = 0; i < set->cap; i++)
        if (set->slot[i]) larger.slot[find(&larger, set->slot[i])] = set->slot[i];
    ft_free(set->slot);
    *set = larger;
    return FT_OK;
}

ft_status ft_names_add(ft_names *set, const char *name, const char **known, ft_err *e)
{
    ft_status s = set->n * 2 >= set->cap ? grow(set, e) : FT_OK;
    if (s) return s;
    const size_t i = find(set, name);
    *known = set->slot[i];
    if (*known) return FT_OK;
    if (!(set->slot[i] = ft_strdup(name))) return ft_fail_mem(e, strlen(name));
    set->n++;
    return FT_OK;
}

void ft_names_free(ft_names *set)
{
    for (size_t i = 0; i < set->cap; i++) ft_free(set->slot[i]);
    ft_free(set->slot);
    memset(set, 0, sizeof *set);
}
