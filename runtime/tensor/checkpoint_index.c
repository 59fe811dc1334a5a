/* runtime/tensor/checkpoint_index.c - the checkpoint in a directory, in one file or in shards.
 *
 * The index is not trusted with paths: a shard must lie in the directory itself.
 * It may be a symbolic link, though: caches of downloads are made of them.
 */
#include "tensor/safetensors.h"

#include <string.h>
#include <sys/stat.h>

#include "core/mem.h"
#include "tensor/safetensors_file.h"
#include "tensor/torch_file.h"

#define SINGLE "model.safetensors"
#define INDEX SINGLE ".index.json"
#define TORCH "pytorch_model.bin"
#define TORCH_INDEX TORCH ".index.json"

typedef ft_status (*opener)(ft_safetensors **, const char *, ft_err *);

typedef struct shard {
    const char *name;   /* in the index */
    ft_safetensors *st; /* on that file alone */
} shard;

static ft_status join(ft_buf *path, const char *dir, const char *name, ft_err *e)
{
    const size_t n = strlen(dir);

    ft_buf_clear(path);
    return ft_buf_printf(path, e, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

static ft_status check_shard_name(const char *tensor, const json_t *value, ft_err *e)
{
    const char *name = json_string_value(value);
    char a[128], b[128];

    if (!name)
        return ft_fail(e, FT_EDATA, "weight_map: the shard of '%s' is not a string", ft_safetensors_shown(tensor, a));
    if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return ft_fail(e, FT_EDATA, "weight_map: the shard of '%s' is '%s', not a plain file name",
                       ft_safetensors_shown(tensor, a), ft_safetensors_shown(name, b));
    return FT_OK;
}

/* The shard of that name, opened at its first mention. all has room for every entry of the index. */
static ft_status shard_of(shard **out, ft_safetensors *all, shard *shards, opener open, const char *dir,
                          const char *name, ft_err *e)
{
    ft_buf path = { 0 };

    for (size_t i = 0; i < all->n_files; i++) {
        if (strcmp(shards[i].name, name)) continue;
        *out = &shards[i];
        return FT_OK;
    }
    shard *new = &shards[all->n_files];
    ft_status s = join(&path, dir, name, e);
    if (!s) s = open(&new->st, path.data, e);
    if (!s) {
        new->name = name;
        all->files[all->n_files++] = new->st->files[0];
        new->st->files[0]->refs++;
        *out = new;
    }
    ft_buf_free(&path);
    return s;
}

static ft_status add_all(ft_safetensors *all, shard *shards, opener open, const char *dir, json_t *map, ft_err *e)
{
    const char *tensor;
    json_t *value;
    char a[128], b[128];

    json_object_foreach (map, tensor, value) {
        shard *from = NULL;
        ft_status s = check_shard_name(tensor, value, e);
        if (!s) s = shard_of(&from, all, shards, open, dir, json_string_value(value), e);
        if (s) return s;
        const ft_safetensors_entry *t = ft_safetensors_entry_of(from->st, tensor);
        if (!t)
            return ft_fail(e, FT_EDATA, "weight_map: tensor '%s' is not in its shard %s",
                           ft_safetensors_shown(tensor, a), ft_safetensors_shown(from->name, b));
        all->list[all->n++] = t;
    }
    ft_safetensors_sort(all);
    return FT_OK;
}

static ft_status open_shards(ft_safetensors **out, opener open, const char *dir, json_t *index, ft_err *e)
{
    ft_safetensors *all = NULL;
    json_t *map = json_object_get(index, "weight_map");
    const size_t n = json_object_size(map);

    if (!json_is_object(map)) return ft_fail(e, FT_EDATA, "weight_map is missing or not an object");
    if (n == 0) return ft_fail(e, FT_EDATA, "weight_map is empty");
    shard *shards = ft_calloc(n, sizeof *shards);
    ft_status s = shards ? FT_OK : ft_fail_mem(e, n * sizeof *shards);
    if (!s) s = ft_safetensors_handle(&all, n, n, e);
    if (!s) s = add_all(all, shards, open, dir, map, e);
    for (size_t i = 0; all && i < all->n_files; i++) ft_safetensors_release(shards[i].st);
    ft_free(shards);
    if (s)
        ft_safetensors_release(all);
    else
        *out = all;
    return s;
}

static ft_status open_index(ft_safetensors **out, opener open, const char *dir, const char *path, ft_err *e)
{
    ft_buf text = { 0 };
    json_t *index = NULL;

    ft_status s = ft_file_read(&text, path, FT_SAFETENSORS_HEADER_MAX, e);
    if (!s) {
        s = ft_safetensors_json(&index, text.data ? text.data : "", text.len, e);
        if (!s) s = open_shards(out, open, dir, index, e);
        if (s) ft_context(e, "%s", path);
    }
    json_decref(index);
    ft_buf_free(&text);
    return s;
}

/* Is there a name of that kind? A dangling link counts, so that opening it tells what is wrong. */
static ft_status exists(int *yes, ft_buf *path, const char *dir, const char *name, ft_err *e)
{
    struct stat st;
    const ft_status s = join(path, dir, name, e);

    *yes = !s && !lstat(path->data, &st);
    return s;
}

ft_status ft_safetensors_open_dir(ft_safetensors **out, const char *dir, ft_err *e)
{
    static const struct {
        const char *name;
        opener open;
        int index;
    } forms[] = {
        { SINGLE, ft_safetensors_open, 0 },
        { INDEX, ft_safetensors_open, 1 },
        { TORCH, ft_torch_open, 0 },
        { TORCH_INDEX, ft_torch_open, 1 },
    };
    ft_buf path = { 0 };
    struct stat st;
    int yes = 0;

    if (stat(dir, &st)) return ft_fail_errno(e, "%s", dir);
    if (!S_ISDIR(st.st_mode)) return ft_fail(e, FT_EIO, "%s: not a directory", dir);
    ft_status s = FT_OK;
    for (size_t i = 0; !s && !yes && i < sizeof forms / sizeof *forms; i++) {
        s = exists(&yes, &path, dir, forms[i].name, e);
        if (s || !yes) continue;
        s = forms[i].index ? open_index(out, forms[i].open, dir, path.data, e) : forms[i].open(out, path.data, e);
    }
    if (!s && !yes) s = ft_fail(e, FT_EIO, "%s: none of " SINGLE ", " INDEX ", " TORCH " and " TORCH_INDEX, dir);
    ft_buf_free(&path);
    return s;
}
