/* runtime/core/interrupt.h - Ctrl-C and SIGTERM are counted, so that work can be saved before it ends.
 *
 * Handlers run on a stack of their own. That is no nicety: oneDNN's generated products move the stack pointer into a heap
 * block that has no room below it, and a handler's frame there (up to 11 KiB of registers) overwrites the heap.
 */
#ifndef FT_CORE_INTERRUPT_H
#define FT_CORE_INTERRUPT_H

/* From now on the first SIGINT or SIGTERM is counted and, unless `quietly`, told on standard error; the second ends the process with
 * 128 + its number. The system gives both to the first thread while that one does not block them; call it there. */
void ft_interrupt_catch(int quietly);
int ft_interrupt_count(void);

/* Give the calling thread a stack for handlers with SA_ONSTACK, unless it has one. One thread alone may ask. */
void ft_signal_stack(void);

#endif
