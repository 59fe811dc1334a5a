/* tests/net/test_fetch_kept.c - what is kept of what was fetched, through the command line: runs tests/net/fetch_kept.sh. */
#include "site.h"

int main(void) { return site_run("fetch_kept.sh"); }
