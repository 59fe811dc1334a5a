/* tests/net/test_fetch.c - sources from elsewhere through the command line: runs tests/net/fetch.sh. */
#include "site.h"

int main(void) { return site_run("fetch.sh"); }
