/* tests/core/test_interrupt.c - a signal that comes while the stack pointer is in somebody's heap block leaves that block alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>
#include <ucontext.h>

#include "core/interrupt.h"

#define ROOM 65536
#define NEAR 2048 /* bytes below a function that the functions it calls may use */

static ucontext_t back, there;
static unsigned char *block;
static size_t touched;

/* Runs on a stack in the heap: raises a signal and counts bytes far below that were written. */
static void raise_there(void)
{
    const size_t free_bytes = (size_t)((uintptr_t)__builtin_frame_address(0) - (uintptr_t)block) - NEAR;

    raise(0); /* so that the loader, which needs much of a stack, has found it */
    memset(block, 0xA5, free_bytes);
    raise(SIGTERM);
    for (size_t i = 0; i < free_bytes; i++) touched += block[i] != 0xA5;
}

static void handlers_run_on_a_stack_of_their_own(void **state)
{
    struct sigaction a;

    (void)state;
    ft_interrupt_catch(0);
    assert_int_equal(ft_interrupt_count(), 0);
    assert_int_equal(sigaction(SIGINT, NULL, &a), 0);
    assert_true(a.sa_flags & SA_ONSTACK);
    block = malloc(ROOM);
    assert_non_null(block);
    assert_int_equal(getcontext(&there), 0);
    there.uc_stack.ss_sp = block;
    there.uc_stack.ss_size = ROOM;
    there.uc_link = &back;
    makecontext(&there, raise_there, 0);
    fflush(stdout);
    assert_int_equal(swapcontext(&back, &there), 0);
    assert_int_equal(ft_interrupt_count(), 1);
    assert_int_equal(touched, 0);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(handlers_run_on_a_stack_of_their_own) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
