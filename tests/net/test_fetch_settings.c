/* tests/net/test_fetch_settings.c - what environment and options say about downloads, through the command line: runs tests/net/fetch_settings.sh. */
#include "site.h"

int main(void) { return site_run("fetch_settings.sh"); }
