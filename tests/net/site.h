/* tests/net/site.h - the command line against servers with the layout of a hub. */
#ifndef TESTS_NET_SITE_H
#define TESTS_NET_SITE_H

/* Run tests/net/SCRIPT with $SERVER and $SAFE (TLS, signed by $CA) that serve the folder $SITE; also counts that neither token nor
 * login went to another host. Gives the exit status of the test. */
int site_run(const char *script);

#endif
