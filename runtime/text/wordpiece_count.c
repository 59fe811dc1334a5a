/* runtime/text/wordpiece_count.c - counting the words of text and of files.
 *
 * Runs of ASCII between white space, nearly all of English, are lowered and cut here; any
 * other run goes through the normaliser and pre-tokeniser of the tokeniser. Both give the
 * same words, because a normaliser is local to white space (norm.h).
 */
#include <omp.h>
#include <string.h>

#include "core/fs.h"
#include "core/mem.h"
#include "text/norm.h"
#include "text/pretok_bert.h"
#include "text/unicode.h"
#include "text/word_table.h"
#include "text/wordpiece_words.h"

enum { LETTER, SPACE, PUNCT, SLOW }; /* of a byte */
enum {
    BLOCK = 1 << 21,   /* bytes read at a time */
    MAX_RUN = 1 << 26, /* of a file without a place to cut it */
    FEW = 1 << 16      /* bytes that one thread counts by itself */
};

/* ==== Life ==== */

ft_status ft_words_new(ft_word_counts **out, const ft_word_opts *opts, ft_err *e)
{
    ft_word_counts *w = *out = ft_calloc(1, sizeof *w);

    if (!w) return ft_fail_mem(e, sizeof *w);
    w->opts = *opts;
    w->norm = (ft_bert_norm){ .clean = true, .cjk = opts->cjk, .lower = opts->lowercase };
    w->norm.strip = opts->strip_accents < 0 ? opts->lowercase : opts->strip_accents > 0;
    for (uint32_t c = 0; c < 256; c++) {
        const unsigned class = c < 128 ? ft_uc_class(c) : FT_UC_REMOVE;
        w->kind[c] = class & FT_UC_REMOVE ? SLOW : class & FT_UC_SPACE ? SPACE : class & FT_UC_PUNCT ? PUNCT : LETTER;
        w->low[c] = (char)(opts->lowercase && c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    return FT_OK;
}

static void close_file(ft_word_counts *w)
{
    if (w->file) fclose(w->file);
    ft_free(w->path);
    ft_buf_free(&w->block);
    w->file = NULL;
    w->path = NULL;
}

void ft_words_free(ft_word_counts *w)
{
    if (!w) return;
    close_file(w);
    for (int i = 0; i < FT_WORD_THREADS; i++) {
        ft_word_table_free(&w->part[i].table);
        ft_normal_free(&w->part[i].normal);
    }
    ft_free(w);
}

/* ==== Runs ==== */

static ft_status count_word(ft_word_part *p, const char *word, size_t n, ft_err *e)
{
    uint64_t h = FT_WORD_HASH;

    if (n > FT_WORD_MAX_CHARS && ft_utf8_count(word, n) > FT_WORD_MAX_CHARS) {
        p->too_long++;
        return FT_OK;
    }
    for (size_t i = 0; i < n; i++) h = ft_word_hash(h, word[i]);
    return ft_word_table_add(&p->table, word, n, ft_word_hash_end(h), 1, e);
}

static ft_status count_slowly(const ft_word_counts *w, ft_word_part *p, const char *s, size_t n, ft_err *e)
{
    size_t at = 0, begin, end;
    ft_status status = ft_norm_bert(&w->norm, s, n, 0, &p->normal, e);

    while (!status && ft_bert_word(p->normal.text, p->normal.n, &at, &begin, &end))
        status = count_word(p, p->normal.text + begin, end - begin, e);
    return status;
}

static ft_status count_ascii(const ft_word_counts *w, ft_word_part *p, const char *s, size_t n, ft_err *e)
{
    char word[FT_WORD_MAX_CHARS];
    ft_status status = FT_OK;

    for (size_t i = 0; i < n && !status;) {
        uint64_t h = FT_WORD_HASH;
        size_t len = 0;
        do {
            const char c = w->low[(unsigned char)s[i + len]];
            if (len < sizeof word) word[len] = c;
            h = ft_word_hash(h, c);
            len++;
        } while (i + len < n && w->kind[(unsigned char)s[i]] != PUNCT && w->kind[(unsigned char)s[i + len]] != PUNCT);
        if (len > sizeof word)
            p->too_long++;
        else
            status = ft_word_table_add(&p->table, word, len, ft_word_hash_end(h), 1, e);
        i += len;
    }
    return status;
}

static ft_status count_text(const ft_word_counts *w, ft_word_part *p, const char *s, size_t n, ft_err *e)
{
    ft_status status = FT_OK;

    for (size_t i = 0; i < n && !status;) {
        size_t end = i;
        int slow = 0;
        for (; end < n && w->kind[(unsigned char)s[end]] != SPACE; end++)
            slow |= w->kind[(unsigned char)s[end]] == SLOW;
        if (slow)
            status = count_slowly(w, p, s + i, end - i, e);
        else if (end > i)
            status = count_ascii(w, p, s + i, end - i, e);
        i = end + 1;
    }
    return status;
}

/* ==== Parts of a text, one for each thread ==== */

static bool is_tag(const char *s, size_t n)
{
    return (n >= 5 && !memcmp(s, "<doc ", 5)) || (n >= 6 && !memcmp(s, "</doc>", 6));
}

/* Like count_text, without the lines of tags. `inside`: s begins in the midst of a line. */
static ft_status count_lines(const ft_word_counts *w, ft_word_part *p, const char *s, size_t n, bool inside, ft_err *e)
{
    ft_status status = FT_OK;

    for (size_t i = 0, from = 0; from < n && !status; i = from, inside = false) {
        const char *end = memchr(s + i, '\n', n - i);
        from = end ? (size_t)(end - s) + 1 : n;
        if (inside || !is_tag(s + i, from - i)) status = count_text(w, p, s + i, from - i, e);
    }
    return status;
}

/* Where part k of n begins: at a line, unless it is the first. */
static size_t part_begin(const char *s, size_t n, int k, int parts)
{
    const size_t at = n / (size_t)parts * (size_t)k;
    if (k == 0 || k == parts) return k ? n : 0;
    const char *end = memchr(s + at, '\n', n - at);
    return end ? (size_t)(end - s) + 1 : n;
}

/* Checked text. */
static ft_status count_parts(ft_word_counts *w, const char *s, size_t n, bool doc, bool inside, ft_err *e)
{
    const int most = omp_get_max_threads() < FT_WORD_THREADS ? omp_get_max_threads() : FT_WORD_THREADS;
    const int parts = n < FEW ? 1 : most;
    ft_status failed[FT_WORD_THREADS] = { FT_OK };

#pragma omp parallel for schedule(static, 1) num_threads(parts) if (parts > 1)
    for (int k = 0; k < parts; k++) {
        const size_t begin = part_begin(s, n, k, parts), end = part_begin(s, n, k + 1, parts);
        ft_word_part *p = &w->part[k];
        failed[k] = doc ? count_lines(w, p, s + begin, end - begin, inside && k == 0, &p->error)
                        : count_text(w, p, s + begin, end - begin, &p->error);
    }
    for (int k = 0; k < parts; k++)
        if (failed[k]) return ft_fail(e, failed[k], "%s", w->part[k].error.msg);
    return FT_OK;
}

ft_status ft_words_add(ft_word_counts *w, const char *text, size_t n, ft_err *e)
{
    const ft_status s = ft_utf8_check(text, n, e);
    return s ? s : count_parts(w, text, n, false, false, e);
}

/* ==== Files ==== */

ft_status ft_words_open(ft_word_counts *w, const char *path, bool doc, ft_err *e)
{
    close_file(w);
    w->doc = doc;
    w->inside = false;
    w->line = 1;
    w->path = ft_strdup(path);
    if (!w->path) return ft_fail_mem(e, strlen(path));
    w->file = fopen(path, "re");
    return w->file ? FT_OK : ft_fail_errno(e, "%s", path);
}

/* Where to cut a block: behind its last line break, else its last blank; 0: nowhere. */
static size_t cut(const char *s, size_t n)
{
    const char *line = memrchr(s, '\n', n);
    if (line) return (size_t)(line - s) + 1;
    while (n && s[n - 1] != ' ' && s[n - 1] != '\t') n--;
    return n;
}

/* Read until the block can be cut; *end is where. 0 is the end of the file. */
static ft_status fill(ft_word_counts *w, size_t *end, ft_err *e)
{
    for (*end = 0; !*end;) {
        ft_buf *b = &w->block;
        const ft_status s = ft_buf_reserve(b, BLOCK, e);
        if (s) return s;
        const size_t got = fread(b->data + b->len, 1, BLOCK, w->file);
        if (ferror(w->file)) return ft_fail_errno(e, "%s", w->path);
        b->len += got;
        if (got < BLOCK) {
            *end = b->len;
            return FT_OK;
        }
        *end = cut(b->data, b->len);
        if (!*end && b->len >= MAX_RUN)
            return ft_fail(e, FT_EDATA, "%s: line %lld: %zu bytes without white space", w->path, (long long)w->line,
                           b->len);
    }
    return FT_OK;
}

/* Check the text of a block; an error names the line and the byte in it. */
static ft_status check(ft_word_counts *w, const char *s, size_t n, ft_err *e)
{
    const bool good = ft_utf8_check(s, n, NULL) == FT_OK;

    for (size_t i = 0; i < n;) {
        const char *end = memchr(s + i, '\n', n - i);
        const size_t next = end ? (size_t)(end - s) + 1 : n;
        if (!good && ft_utf8_check(s + i, next - i, e))
            return ft_context(e, "%s: line %lld", w->path, (long long)w->line);
        w->line += end != NULL;
        i = next;
    }
    return FT_OK;
}

ft_status ft_words_step(ft_word_counts *w, size_t *read, ft_err *e)
{
    size_t end = 0;

    *read = 0;
    if (!w->file) return ft_fail(e, FT_ESTATE, "no file is open");
    ft_status s = fill(w, &end, e);
    if (!s) s = check(w, w->block.data, end, e);
    if (!s) s = count_parts(w, w->block.data, end, w->doc, w->inside, e);
    if (s || !end) {
        close_file(w);
        return s;
    }
    w->inside = w->block.data[end - 1] != '\n';
    memmove(w->block.data, w->block.data + end, w->block.len - end);
    w->block.len -= end;
    *read = end;
    return FT_OK;
}

/* ==== Results ==== */

ft_status ft_words_totals(ft_word_counts *w, ft_word_totals *out, ft_err *e)
{
    ft_word_table *all = &w->part[0].table;

    memset(out, 0, sizeof *out);
    for (int k = 1; k < FT_WORD_THREADS; k++) {
        const ft_status s = ft_word_table_take(all, &w->part[k].table, e);
        if (s) return s;
    }
    for (int k = 0; k < FT_WORD_THREADS; k++) out->too_long += w->part[k].too_long;
    for (size_t i = 0; i < all->n; i++) out->words += all->words[i].count;
    out->distinct = all->n;
    return FT_OK;
}

const char *ft_words_get(const ft_word_counts *w, uint64_t i, size_t *len, uint64_t *count)
{
    const ft_word_table *t = &w->part[0].table;

    *len = t->words[i].len;
    *count = t->words[i].count;
    return t->bytes.data + t->words[i].at;
}
