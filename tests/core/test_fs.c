/* tests/core/test_fs.c - mapping, atomic writing and removal, in a folder of its own below TMPDIR. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fs.h"
#include "core/mem.h"

static char root[512];

static const char *in(char buf[1024], const char *name)
{
    snprintf(buf, 1024, "%s/%s", root, name);
    return buf;
}

static int setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(root, sizeof root, "%s/ft_fs_XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(root) == NULL;
}

static int teardown(void **state)
{
    ft_err e;
    (void)state;
    return ft_remove_tree(root, &e) || access(root, F_OK) == 0;
}

static size_t count_files(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    for (const struct dirent *x; d && (x = readdir(d));) n += x->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static void assert_content(const char *path, const char *want)
{
    ft_buf b = { 0 };
    ft_err e;
    assert_int_equal(ft_file_read(&b, path, 1 << 20, &e), FT_OK);
    assert_string_equal(b.data ? b.data : "", want);
    ft_buf_free(&b);
}

static void a_map_shows_the_bytes_of_the_file(void **state)
{
    char p[1024];
    ft_map m;
    ft_err e;
    (void)state;
    assert_int_equal(ft_file_write(in(p, "f"), "hello", 5, &e), FT_OK);
    assert_int_equal(ft_map_open(&m, p, &e), FT_OK);
    assert_int_equal(m.size, 5);
    assert_memory_equal(m.data, "hello", 5);
    ft_map_close(&m);
    ft_map_close(&m);
    assert_int_equal(ft_file_write(in(p, "f"), "", 0, &e), FT_OK);
    assert_int_equal(ft_map_open(&m, p, &e), FT_OK);
    assert_null(m.data);
    assert_int_equal(m.size, 0);
}

static void a_map_outlives_the_file_being_replaced(void **state)
{
    char p[1024];
    ft_map m;
    ft_err e;
    (void)state;
    assert_int_equal(ft_file_write(in(p, "f"), "first", 5, &e), FT_OK);
    assert_int_equal(ft_map_open(&m, p, &e), FT_OK);
    assert_int_equal(ft_file_write(p, "2", 1, &e), FT_OK);
    assert_memory_equal(m.data, "first", 5);
    assert_content(p, "2");
    ft_map_close(&m);
}

static void only_regular_files_are_mapped(void **state)
{
    char p[1024], want[1200];
    ft_map m;
    ft_err e;
    (void)state;
    assert_int_equal(ft_map_open(&m, root, &e), FT_EIO);
    assert_non_null(strstr(e.msg, "not a regular file"));
    assert_int_equal(mkfifo(in(p, "fifo"), 0600), 0);
    assert_int_equal(ft_map_open(&m, p, &e), FT_EIO); /* and does not wait for a writer */
    assert_int_equal(ft_map_open(&m, in(p, "none"), &e), FT_EIO);
    snprintf(want, sizeof want, "%s: No such file or directory", p);
    assert_string_equal(e.msg, want);
}

static void reading_stops_at_the_limit(void **state)
{
    char p[1024];
    ft_buf b = { 0 };
    ft_err e;
    (void)state;
    assert_int_equal(ft_file_write(in(p, "f"), "12345678", 8, &e), FT_OK);
    assert_int_equal(ft_file_read(&b, p, 8, &e), FT_OK);
    assert_int_equal(ft_file_read(&b, p, 8, &e), FT_OK); /* appended; the limit is for one file */
    assert_string_equal(b.data, "1234567812345678");
    assert_int_equal(ft_file_read(&b, p, 7, &e), FT_EDATA);
    assert_non_null(strstr(e.msg, "larger than 7 bytes"));
    assert_int_equal(ft_file_read(&b, root, 7, &e), FT_EIO);
    ft_buf_free(&b);
}

static void nothing_is_at_the_path_before_commit(void **state)
{
    char p[1024];
    ft_atomic a;
    ft_err e;
    (void)state;
    assert_int_equal(ft_atomic_open(&a, in(p, "f"), &e), FT_OK);
    assert_int_equal(ft_atomic_write(&a, "ab", 2, &e), FT_OK);
    assert_int_equal(ft_atomic_write(&a, NULL, 0, &e), FT_OK);
    assert_int_not_equal(access(p, F_OK), 0);
    assert_int_equal(ft_atomic_commit(&a, &e), FT_OK);
    assert_content(p, "ab");
    assert_int_equal(count_files(root), 1);
    ft_atomic_abandon(&a);
    assert_content(p, "ab");
}

static void abandoning_keeps_the_old_file(void **state)
{
    char p[1024];
    ft_atomic a;
    ft_err e;
    (void)state;
    assert_int_equal(ft_file_write(in(p, "f"), "old", 3, &e), FT_OK);
    assert_int_equal(ft_atomic_open(&a, p, &e), FT_OK);
    assert_int_equal(ft_atomic_write(&a, "new", 3, &e), FT_OK);
    ft_atomic_abandon(&a);
    ft_atomic_abandon(&a);
    assert_content(p, "old");
    assert_int_equal(count_files(root), 1);
}

static void a_full_disk_leaves_the_old_file_and_nothing_else(void **state)
{
    char p[1024];
    ft_err e;
    struct rlimit old, small;
    (void)state;
    char *big = calloc(1, 1 << 20);
    assert_int_equal(ft_file_write(in(p, "f"), "old", 3, &e), FT_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){ 10000, old.rlim_max };
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    const ft_status large = ft_file_write(p, big, 1 << 20, &e);  /* fails while writing */
    const ft_status medium = ft_file_write(p, big, 10001, NULL); /* fails at the flush before commit */
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, before);
    free(big);
    assert_int_equal(large, FT_EIO);
    assert_int_equal(medium, FT_EIO);
    assert_non_null(strstr(e.msg, "cannot write"));
    assert_non_null(strstr(e.msg, "File too large"));
    assert_content(p, "old");
    assert_int_equal(count_files(root), 1);
}

static void a_failed_rename_leaves_nothing(void **state)
{
    char p[1024], inner[1024];
    ft_err e;
    (void)state;
    assert_int_equal(ft_mkdirs(in(inner, "d/inner"), &e), FT_OK);
    assert_int_equal(ft_file_write(in(p, "d"), "x", 1, &e), FT_EIO);
    assert_non_null(strstr(e.msg, "cannot rename to"));
    assert_int_equal(count_files(root), 1);
    assert_int_equal(ft_file_write(in(p, "none/f"), "x", 1, &e), FT_EIO);
    assert_int_equal(count_files(root), 1);
}

static void a_full_memory_leaves_nothing_open_or_behind(void **state)
{
    char p[1024];
    ft_err e;
    ft_status s = FT_EMEM;
    (void)state;
    const size_t live = ft_mem_get().live;
    in(p, "f");
    for (uint64_t nth = 1; s; nth++) {
        assert_true(nth < 20);
        ft_mem_fail_at(nth);
        s = ft_file_write(p, "x", 1, &e);
        ft_mem_fail_at(0);
        assert_true(s == FT_OK || s == FT_EMEM);
        assert_int_equal(ft_mem_get().live, live);
        assert_int_equal(count_files(root), access(p, F_OK) == 0);
    }
}

static void mkdirs_makes_all_and_accepts_what_is_there(void **state)
{
    char p[1024];
    ft_err e;
    struct stat st;
    (void)state;
    assert_int_equal(ft_mkdirs(in(p, "a/b//c/"), &e), FT_OK);
    assert_int_equal(ft_mkdirs(p, &e), FT_OK);
    assert_int_equal(stat(p, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(ft_mkdirs("/", &e), FT_OK);
    assert_int_equal(ft_mkdirs("", &e), FT_EUSAGE);
    assert_int_equal(ft_file_write(in(p, "a/f"), "x", 1, &e), FT_OK);
    assert_int_equal(ft_mkdirs(p, &e), FT_EIO);
    assert_non_null(strstr(e.msg, "not a directory"));
    assert_int_equal(ft_mkdirs(in(p, "a/f/g"), &e), FT_EIO);
}

static void remove_tree_does_not_follow_links(void **state)
{
    char p[1024], q[1024];
    ft_err e;
    (void)state;
    assert_int_equal(ft_mkdirs(in(p, "out"), &e), FT_OK);
    assert_int_equal(ft_file_write(in(p, "out/kept"), "k", 1, &e), FT_OK);
    assert_int_equal(ft_mkdirs(in(p, "tree/x/y"), &e), FT_OK);
    assert_int_equal(ft_file_write(in(p, "tree/x/y/f"), "x", 1, &e), FT_OK);
    assert_int_equal(symlink(in(p, "out"), in(q, "tree/x/link")), 0);
    assert_int_equal(symlink("nowhere", in(q, "tree/dangling")), 0);
    assert_int_equal(symlink(in(p, "out"), in(q, "top")), 0);

    assert_int_equal(ft_remove_tree(in(p, "tree"), &e), FT_OK);
    assert_int_not_equal(access(p, F_OK), 0);
    assert_int_equal(ft_remove_tree(in(p, "top"), &e), FT_OK); /* the link goes, its target stays */
    assert_content(in(p, "out/kept"), "k");
    assert_int_equal(count_files(root), 1);
    assert_int_equal(ft_remove_tree(in(p, "never there"), &e), FT_OK);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_map_shows_the_bytes_of_the_file),
        CASE(a_map_outlives_the_file_being_replaced),
        CASE(only_regular_files_are_mapped),
        CASE(reading_stops_at_the_limit),
        CASE(nothing_is_at_the_path_before_commit),
        CASE(abandoning_keeps_the_old_file),
        CASE(a_full_disk_leaves_the_old_file_and_nothing_else),
        CASE(a_failed_rename_leaves_nothing),
        CASE(a_full_memory_leaves_nothing_open_or_behind),
        CASE(mkdirs_makes_all_and_accepts_what_is_there),
        CASE(remove_tree_does_not_follow_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
