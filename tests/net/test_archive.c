/* tests/net/test_archive.c - archives that attack: nothing is written outside, and unpacking stops at its budget.
 *
 * Each row also runs with its one protection switched off, and must then not hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fs.h"
#include "fetching.h"
#include "net/archive.h"
#include "net/guard.h"
#include "packing.h"
#include "server.h"

enum { BUDGET = 4 << 20, MIB = 1 << 20 };

static char *dir;

static const char *at(const char *name)
{
    static char path[4][600];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static FILE *create(const char *name)
{
    FILE *f = fopen(at(name), "wb");
    if (!f) abort();
    return f;
}

/* ==== What attacks ==== */

static void dots(FILE *f) { tar_add(f, "ok/../../outside.txt", '0', NULL, 0644, "out", 3); }

static void absolute(FILE *f)
{
    char name[600];
    snprintf(name, sizeof name, "%s/outside.txt", dir);
    tar_add(f, name, '0', NULL, 0644, "out", 3);
}

static void link_then_write(FILE *f)
{
    tar_add(f, "door", '2', dir, 0777, NULL, 0);
    tar_add(f, "door/outside.txt", '0', NULL, 0644, "out", 3);
}

static void hard_link(FILE *f)
{
    char name[600];
    snprintf(name, sizeof name, "%s/secret", dir);
    tar_add(f, "inside", '1', name, 0644, NULL, 0);
}

static void device(FILE *f) { tar_add(f, "null", '3', NULL, 0666, NULL, 0); }
static void fifo(FILE *f) { tar_add(f, "pipe", '6', NULL, 0666, NULL, 0); }
static void set_uid(FILE *f) { tar_add(f, "tool", '0', NULL, 04777, "#!", 2); }

static void letter_case(FILE *f)
{
    tar_add(f, "data/Train.csv", '0', NULL, 0644, "a", 1);
    tar_add(f, "data/train.csv", '0', NULL, 0644, "b", 1);
}

static void many(FILE *f)
{
    char name[32];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "f%d", i);
        tar_add(f, name, '0', NULL, 0644, NULL, 0);
    }
}

static void deep(FILE *f) { tar_add(f, "a/b/c/d/e/f/g/h/i/j/k/l/m", '0', NULL, 0644, "x", 1); }

static void large(FILE *f)
{
    static char zeros[BUDGET + 2 * MIB];
    tar_add(f, "zeros", '0', NULL, 0644, zeros, sizeof zeros);
}

static void tar_of(void (*what)(FILE *))
{
    FILE *f = create("attack");
    what(f);
    tar_end(f);
}

static void overlapping(void)
{
    static zip z;
    memset(&z, 0, sizeof z);
    z.f = create("attack");
    zip_nested(&z, 8, 3 * MIB / 2);
    zip_end(&z);
}

/* ==== The table ==== */

typedef struct row {
    const char *name;
    void (*what)(FILE *); /* NULL: the zip file */
    unsigned guard;
    const char *says; /* part of the error; NULL: it is unpacked, harmless */
} row;

static const row rows[] = {
    { "..", dots, FT_GUARD_NAMES, "leads out" },
    { "absolute", absolute, FT_GUARD_NAMES, "absolute" },
    { "symbolic link, then write", link_then_write, FT_GUARD_TYPES, "door is a symbolic link" },
    { "hard link", hard_link, FT_GUARD_TYPES, "inside is a hard link" },
    { "device", device, FT_GUARD_TYPES, "no regular file" },
    { "FIFO", fifo, FT_GUARD_TYPES, "no regular file" },
    { "setuid", set_uid, FT_GUARD_MODES, NULL },
    { "letter case", letter_case, FT_GUARD_CASE, "letter case only" },
    { "entries", many, FT_GUARD_ENTRIES, "more than 100 entries" },
    { "depth", deep, FT_GUARD_DEPTH, "deeper than 8" },
    { "bytes", large, FT_GUARD_BYTES, "more than 4194304 bytes" },
    { "overlapping zip bomb", NULL, FT_GUARD_BYTES, "more than 4194304 bytes" },
};

/* Bytes in files below, and whether there is anything that is neither file nor folder, or has too many rights. */
static long long below(const char *path, int *strange)
{
    long long sum = 0;
    const struct dirent *entry;
    DIR *d = opendir(path);
    while (d && (entry = readdir(d))) {
        char name[1400];
        struct stat st;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (lstat(name, &st)) continue;
        if (S_ISDIR(st.st_mode))
            sum += below(name, strange);
        else if (S_ISREG(st.st_mode))
            sum += st.st_size;
        if ((!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) || (st.st_mode & (S_ISUID | S_ISGID | S_IWOTH)) ||
            st.st_nlink > (S_ISDIR(st.st_mode) ? 1000u : 1u))
            *strange = 1;
    }
    if (d) closedir(d);
    return sum;
}

static int holds(const row *r, int loud)
{
    static const ft_archive_limits limits = { .bytes = BUDGET, .entries = 100, .depth = 8 };
    ft_err e = { 0 };
    int strange = 0;

    const ft_status s = ft_archive_unpack(at("attack"), NULL, at("in"), &limits, &e);
    const int outside = access(at("outside.txt"), F_OK) == 0;
    const long long bytes = below(at("in"), &strange);
    const int told =
        r->says ? s == FT_EDATA && strstr(e.msg, r->says) != NULL && access(at("in"), F_OK) != 0 : s == FT_OK;
    const int clean = scratch_count(dir, "") <= (r->says ? 2 : 3); /* the archive, the secret, what was unpacked */
    if (loud && !(told && !outside && !strange && bytes <= BUDGET + MIB && clean))
        fprintf(stderr, "%s: %d '%s', outside %d, strange %d, %lld bytes, clean %d\n", r->name, s, e.msg, outside,
                strange, bytes, clean);
    return told && !outside && !strange && bytes <= BUDGET + MIB && clean;
}

static void make(const row *r)
{
    ft_err e;
    scratch_remove(dir);
    dir = scratch_new();
    if (ft_file_write(at("secret"), "secret", 6, &e)) abort();
    if (r->what)
        tar_of(r->what);
    else
        overlapping();
}

static void holds_and_needs_its_protection(void **state)
{
    const row *r = *state;
    for (int off = 0; off < 2; off++) {
        make(r);
        ft_guard_off = off ? r->guard : 0;
        const int held = holds(r, !off);
        ft_guard_off = 0;
        if (held && off) fprintf(stderr, "%s: also holds without its protection\n", r->name);
        assert_int_equal(held, !off);
    }
}

/* ==== What is meant well ==== */

static void good_tar(const char *name)
{
    FILE *f = create(name);
    tar_add(f, "./data/", '5', NULL, 0755, NULL, 0);
    tar_add(f, "./data/train.csv", '0', NULL, 0600, "text,label\n", 11);
    tar_add(f, "./data/more/test.csv", '0', NULL, 0644, "text\n", 5);
    tar_add(f, "README", '0', NULL, 0644, "hello", 5);
    tar_end(f);
}

static void is_file(const char *name, const char *bytes)
{
    ft_buf b = { 0 };
    ft_err e;
    if (ft_file_read(&b, at(name), 1 << 20, &e)) fprintf(stderr, "%s\n", e.msg);
    assert_string_equal(b.data ? b.data : "(none)", bytes);
    ft_buf_free(&b);
}

static void whole_archives_and_members(void **state)
{
    ft_err e;
    (void)state;
    make(&rows[0]);
    good_tar("good.tar");
    assert_int_equal(ft_archive_unpack(at("good.tar"), NULL, at("all"), NULL, &e), FT_OK);
    is_file("all/data/train.csv", "text,label\n");
    is_file("all/README", "hello");
    assert_int_equal(ft_archive_unpack(at("good.tar"), "data", at("folder"), NULL, &e), FT_OK);
    is_file("folder/more/test.csv", "text\n");
    assert_int_not_equal(access(at("folder/README"), F_OK), 0);
    assert_int_equal(ft_archive_unpack(at("good.tar"), "data/more/test.csv", at("one"), NULL, &e), FT_OK);
    is_file("one/test.csv", "text\n");
    assert_int_equal(scratch_count(at("one"), ""), 1);
    assert_int_equal(ft_archive_unpack(at("good.tar"), "data/none.csv", at("none"), NULL, &e), FT_EDATA);
    assert_non_null(strstr(e.msg, "there is no data/none.csv in it"));
}

static void a_zip_with_names_in_utf8(void **state)
{
    static zip z;
    ft_err e;
    (void)state;
    make(&rows[0]);
    memset(&z, 0, sizeof z);
    z.f = create("good.zip");
    zip_add(&z,
            "bewertung/\xC3\xBC"
            "ber.csv",
            "a,b\n", 4);
    zip_zeros(&z, "zeros", 100000);
    zip_end(&z);
    assert_int_equal(ft_archive_unpack(at("good.zip"), NULL, at("all"), NULL, &e), FT_OK);
    is_file("all/bewertung/\xC3\xBC"
            "ber.csv",
            "a,b\n");
    int strange = 0;
    assert_int_equal(below(at("all"), &strange), 100004);
}

static void other_encodings_are_declared(void **state)
{
    const ft_archive_limits latin = { .encoding = "ISO-8859-1" };
    ft_err e;
    (void)state;
    make(&rows[0]);
    FILE *f = create("latin.tar");
    tar_add(f,
            "\xFC"
            "ber.csv",
            '0', NULL, 0644, "x", 1);
    tar_end(f);
    assert_int_equal(ft_archive_unpack(at("latin.tar"), NULL, at("all"), NULL, &e), FT_EDATA);
    assert_non_null(strstr(e.msg, "declare its encoding"));
    assert_int_equal(ft_archive_unpack(at("latin.tar"), NULL, at("all"), &latin, &e), FT_OK);
    is_file("all/\xC3\xBC"
            "ber.csv",
            "x");
}

static void compressed_by(const char *program, const char *ending)
{
    char command[1600];
    ft_err e;
    make(&rows[0]);
    good_tar("good.tar");
    snprintf(command, sizeof command,
             "command -v %s >/dev/null || exit 9; cd '%s' && %s -c good.tar > t%s && printf 'one\\n' | %s -c > f%s",
             program, dir, program, ending, program, ending);
    const int status = system(command);
    if (status) return; /* that program is not here */
    char tar[32], file[32];
    snprintf(tar, sizeof tar, "t%s", ending);
    snprintf(file, sizeof file, "f%s", ending);
    assert_int_equal(ft_archive_unpack(at(tar), "README", at("one"), NULL, &e), FT_OK);
    is_file("one/README", "hello");
    assert_int_equal(ft_archive_decompress(at(file), at("plain"), NULL, &e), FT_OK);
    is_file("plain", "one\n");
}

static void all_compressions(void **state)
{
    (void)state;
    compressed_by("gzip", ".gz");
    compressed_by("bzip2", ".bz2");
    compressed_by("xz", ".xz");
    compressed_by("zstd", ".zst");
}

static ft_status explode(void)
{
    static unsigned char gz[400000];
    const ft_archive_limits small = { .bytes = BUDGET };
    ft_err e;

    make(&rows[0]);
    const size_t n = server_gzip_zeros(gz, sizeof gz, 40 * MIB);
    assert_int_equal(ft_file_write(at("zeros.gz"), gz, n, &e), FT_OK);
    return ft_archive_decompress(at("zeros.gz"), at("zeros"), &small, &e);
}

static void a_gzip_bomb_stops(void **state)
{
    (void)state;
    assert_int_equal(explode(), FT_EDATA);
    assert_int_not_equal(access(at("zeros"), F_OK), 0);
    assert_int_equal(scratch_count(dir, "part"), 0);
    ft_guard_off = FT_GUARD_BYTES;
    const ft_status s = explode();
    ft_guard_off = 0;
    int strange = 0;
    assert_int_equal(s, FT_OK);
    assert_true(below(dir, &strange) > 40 * MIB);
}

static void no_archive_is_told(void **state)
{
    ft_err e;
    (void)state;
    make(&rows[0]);
    assert_int_equal(ft_file_write(at("text"), "just text, and a lot more of it than a header", 45, &e), FT_OK);
    assert_int_equal(ft_archive_unpack(at("text"), NULL, at("all"), NULL, &e), FT_EDATA);
    assert_int_equal(ft_archive_decompress(at("text"), at("all"), NULL, &e), FT_EDATA);
    assert_int_equal(ft_archive_unpack(at("nothing"), NULL, at("all"), NULL, &e), FT_EDATA);
}

static int start(void **state)
{
    (void)state;
    dir = scratch_new();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    scratch_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(whole_archives_and_members),
        cmocka_unit_test(a_zip_with_names_in_utf8),
        cmocka_unit_test(other_encodings_are_declared),
        cmocka_unit_test(all_compressions),
        cmocka_unit_test(a_gzip_bomb_stops),
        cmocka_unit_test(no_archive_is_told),
    };
    enum { ROWS = sizeof rows / sizeof *rows, OTHERS = sizeof others / sizeof *others };
    struct CMUnitTest tests[ROWS + OTHERS];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){ rows[i].name, holds_and_needs_its_protection, NULL, NULL,
                                        (void *)(uintptr_t)&rows[i] };
    memcpy(tests + ROWS, others, sizeof others);
    return cmocka_run_group_tests(tests, start, stop);
}
