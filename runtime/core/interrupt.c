/* runtime/core/interrupt.c - the handler does no more than count, write and leave. */
#include "core/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define STACK 65536 /* the registers of AVX-512 and AMX take 11 KiB of it */

static volatile sig_atomic_t interrupts;
static int says_nothing;

static void on_interrupt(int signal_number)
{
    static const char text[] = "\nstopping; what is done so far is saved first (once more: stop at once)\n";
    if (++interrupts >= 2) _exit(128 + signal_number);
    if (says_nothing) return;
    const int before = errno;
    if (write(2, text, sizeof text - 1) < 0) errno = EIO;
    errno = before;
}

int ft_interrupt_count(void) { return interrupts; }

void ft_signal_stack(void)
{
    static char stack[STACK];
    const stack_t own = { .ss_sp = stack, .ss_size = sizeof stack };
    stack_t there;

    if (sigaltstack(NULL, &there) == 0 && (there.ss_flags & SS_DISABLE)) (void)sigaltstack(&own, NULL);
}

void ft_interrupt_catch(int quietly)
{
    struct sigaction a;

    says_nothing = quietly;
    ft_signal_stack();
    memset(&a, 0, sizeof a);
    a.sa_handler = on_interrupt;
    a.sa_flags = SA_ONSTACK;
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}
