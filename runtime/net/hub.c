/* runtime/net/hub.c - see hub.h. */
#include "net/hub.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "net/names.h"

enum { MOST_FILES = 100000 };

static int is_commit(const char *text) { return text && strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40; }

static ft_status add_file(ft_hub_listing *l, const char *name, ft_err *e)
{
    char clean[1024];

    if (!name) return ft_fail(e, FT_EDATA, "the hub's listing has a file without a name");
    ft_status s = ft_name_check(name, 32, clean, sizeof clean, e);
    if (!s && !*clean) s = ft_fail(e, FT_EDATA, "the hub's listing has a file without a name");
    if (!s && !(l->files[l->n] = ft_strdup(clean))) s = ft_fail_mem(e, strlen(clean));
    if (!s) l->n++;
    return s;
}

static ft_status read_files(ft_hub_listing *l, const json_t *list, ft_err *e)
{
    const size_t n = json_array_size(list);

    if (!json_is_array(list)) return ft_fail(e, FT_EDATA, "the hub's listing names no files");
    if (n > MOST_FILES) return ft_fail(e, FT_EDATA, "the hub's listing has %zu files", n);
    if (!(l->files = ft_calloc(n + 1, sizeof *l->files))) return ft_fail_mem(e, n * sizeof *l->files);
    ft_status s = FT_OK;
    for (size_t i = 0; i < n && !s; i++)
        s = add_file(l, json_string_value(json_object_get(json_array_get(list, i), "rfilename")), e);
    return s;
}

/* The licence is printed: what is no plain word stays out. */
static void read_licence(ft_hub_listing *l, const json_t *all)
{
    const char *text = json_string_value(json_object_get(json_object_get(all, "cardData"), "license"));
    if (text && strlen(text) < sizeof l->licence &&
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_+ ") == strlen(text))
        snprintf(l->licence, sizeof l->licence, "%s", text);
}

ft_status ft_hub_listing_read(ft_hub_listing *l, const void *bytes, size_t n, ft_err *e)
{
    memset(l, 0, sizeof *l);
    json_t *all = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, NULL);
    const char *commit = json_string_value(json_object_get(all, "sha"));

    ft_status s = all ? FT_OK : ft_fail(e, FT_EDATA, "the hub's answer is not JSON");
    if (!s && !is_commit(commit)) s = ft_fail(e, FT_EDATA, "the hub's answer names no commit");
    if (!s) {
        snprintf(l->commit, sizeof l->commit, "%s", commit);
        const json_t *gated = json_object_get(all, "gated");
        l->gated = gated && !json_is_false(gated) && !json_is_null(gated);
        read_licence(l, all);
        s = read_files(l, json_object_get(all, "siblings"), e);
    }
    json_decref(all);
    if (s) ft_hub_listing_free(l);
    return s;
}

void ft_hub_listing_free(ft_hub_listing *l)
{
    for (size_t i = 0; i < l->n; i++) ft_free(l->files[i]);
    ft_free(l->files);
    memset(l, 0, sizeof *l);
}
