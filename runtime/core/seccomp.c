/* runtime/core/seccomp.c - two filters: evaluation names what is allowed, steps (which compute on threads, with libraries that
 * ask for this and that) name what is not.
 *
 * What would surprise: clone3 passes its flags in memory, where a filter cannot look, so it "is not there" (ENOSYS) and C
 * libraries fall back on clone. The same for openat2 in evaluation, unless there is Landlock to watch over files.
 */
#include "core/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/landlock.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#define ARCH 0
#endif

enum { MAX_RULES = 400 };

typedef struct program {
    struct sock_filter code[MAX_RULES];
    unsigned short n;
} program;

static void add(program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    if (p->n < MAX_RULES) p->code[p->n++] = (struct sock_filter){ code, jt, jf, k };
}

static void load(program *p, size_t offset) { add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0); }
static void end(program *p, uint32_t action) { add(p, BPF_RET | BPF_K, action, 0, 0); }

#define NUMBER offsetof(struct seccomp_data, nr)
#define ARGUMENT(i) (offsetof(struct seccomp_data, args) + 8 * (i)) /* its low half: little-endian machines only */
#define REFUSE(error) (SECCOMP_RET_ERRNO | (error))

/* If the number in hand is nr: action. */
static void rule(program *p, long nr, uint32_t action)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1);
    end(p, action);
}

/* If the number is nr: action where the argument has one of these bits set (`set`) or none of them, else `other`. */
static void rule_bits(program *p, long nr, int argument, uint32_t bits, int set, uint32_t action, uint32_t other)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 4);
    load(p, ARGUMENT((size_t)argument));
    add(p, BPF_JMP | BPF_JSET | BPF_K, bits, set ? 0 : 1, set ? 1 : 0);
    end(p, action);
    end(p, other);
}

/* If the number is nr and the argument this value: action. */
static void rule_value(program *p, long nr, int argument, uint32_t value, uint32_t action)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 3);
    load(p, ARGUMENT((size_t)argument));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    end(p, action);
    load(p, NUMBER);
}

/* Calls of another architecture's table, for which the numbers below would mean something else. */
static void check_architecture(program *p)
{
    load(p, offsetof(struct seccomp_data, arch));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    end(p, REFUSE(EPERM));
    load(p, NUMBER);
#if defined(__x86_64__)
    add(p, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1); /* x32 */
    end(p, REFUSE(EPERM));
#endif
}

#define N(list) (sizeof(list) / sizeof *(list))

static void evaluate(program *p)
{
    static const int allowed[] = {
        SYS_read,
        SYS_write,
        SYS_readv,
        SYS_writev,
        SYS_close,
        SYS_fstat,
        SYS_newfstatat,
        SYS_lseek,
        SYS_mmap,
        SYS_munmap,
        SYS_mremap,
        SYS_mprotect,
        SYS_brk,
        SYS_madvise,
        SYS_futex,
        SYS_exit,
        SYS_exit_group,
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
        SYS_rt_sigreturn,
        SYS_sigaltstack,
        SYS_clock_gettime,
        SYS_gettimeofday,
        SYS_clock_nanosleep,
        SYS_nanosleep,
        SYS_getrandom,
        SYS_getpid,
        SYS_gettid,
        SYS_getrusage,
        SYS_sched_yield,
        SYS_getdents64,
        SYS_getcwd,
        SYS_restart_syscall,
#if defined(SYS_stat)
        SYS_stat,
#endif
    };

    for (size_t i = 0; i < N(allowed); i++) rule(p, allowed[i], SECCOMP_RET_ALLOW);
    const uint32_t writes = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
#if defined(SYS_open)
    rule_bits(p, SYS_open, 1, writes, 1, REFUSE(EPERM), SECCOMP_RET_ALLOW);
#endif
    rule_bits(p, SYS_openat, 2, writes, 1, REFUSE(EPERM), SECCOMP_RET_ALLOW);
    rule(p, SYS_openat2, ft_landlock_abi() ? SECCOMP_RET_ALLOW : REFUSE(ENOSYS));
    rule(p, SYS_clone3, REFUSE(ENOSYS));
    end(p, REFUSE(EPERM));
}

static void refuse_all(program *p, const int *list, size_t n)
{
    for (size_t i = 0; i < n; i++) rule(p, list[i], REFUSE(EPERM));
}

static void step(program *p)
{
    static const int refused[] = {
        /* the network and other processes' sockets */
        SYS_socket,
        SYS_socketpair,
        SYS_connect,
        SYS_bind,
        SYS_listen,
        SYS_accept,
        SYS_accept4,
        SYS_sendto,
        SYS_sendmsg,
        SYS_sendmmsg,
        SYS_recvfrom,
        SYS_recvmsg,
        SYS_recvmmsg,
        /* other processes, and what the kernel does for a process unseen */
        SYS_ptrace,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_pidfd_open,
        SYS_pidfd_getfd,
        SYS_pidfd_send_signal,
        SYS_tkill,
        SYS_io_uring_setup,
        SYS_io_uring_enter,
        SYS_io_uring_register,
        SYS_userfaultfd,
        SYS_bpf,
        SYS_perf_event_open,
        SYS_keyctl,
        SYS_add_key,
        SYS_request_key,
        SYS_process_madvise,
        SYS_kcmp,
        SYS_execve,
        SYS_execveat,
        SYS_kill,
        /* owners, modes and times of files, which Landlock does not watch */
        SYS_fchmod,
        SYS_fchmodat,
        SYS_fchown,
        SYS_fchownat,
        SYS_setxattr,
        SYS_lsetxattr,
        SYS_fsetxattr,
        SYS_removexattr,
        SYS_lremovexattr,
        SYS_fremovexattr,
        SYS_utimensat,
        SYS_mknodat,
        SYS_open_by_handle_at,
        SYS_name_to_handle_at,
        /* name spaces, mounts and administration */
        SYS_mount,
        SYS_umount2,
        SYS_pivot_root,
        SYS_chroot,
        SYS_setns,
        SYS_unshare,
        SYS_fsopen,
        SYS_fsconfig,
        SYS_fsmount,
        SYS_fspick,
        SYS_move_mount,
        SYS_open_tree,
        SYS_init_module,
        SYS_finit_module,
        SYS_delete_module,
        SYS_kexec_load,
        SYS_reboot,
        SYS_swapon,
        SYS_swapoff,
        SYS_quotactl,
        SYS_acct,
        SYS_settimeofday,
        SYS_clock_settime,
        SYS_adjtimex,
        SYS_clock_adjtime,
        SYS_sethostname,
        SYS_setdomainname,
        SYS_syslog,
        SYS_vhangup,
        SYS_personality,
        SYS_setuid,
        SYS_setgid,
        SYS_setreuid,
        SYS_setregid,
        SYS_setresuid,
        SYS_setresgid,
        SYS_setgroups,
        SYS_capset,
#if defined(__x86_64__)
        SYS_fork,
        SYS_vfork,
        SYS_chmod,
        SYS_chown,
        SYS_lchown,
        SYS_utime,
        SYS_utimes,
        SYS_futimesat,
        SYS_mknod,
        SYS_iopl,
        SYS_ioperm,
        SYS_modify_ldt,
        SYS_uselib,
        SYS_ustat,
#endif
    };
    refuse_all(p, refused, N(refused));
    rule(p, SYS_clone3, REFUSE(ENOSYS));
    rule_bits(p, SYS_clone, 0, CLONE_THREAD, 0, REFUSE(EPERM), SECCOMP_RET_ALLOW);
    rule_value(p, SYS_ioctl, 1, TIOCSTI, REFUSE(EPERM)); /* words typed into the user's terminal */
    rule_value(p, SYS_ioctl, 1, TIOCLINUX, REFUSE(EPERM));
    end(p, SECCOMP_RET_ALLOW);
}

int ft_seccomp_works(void)
{
    const uint32_t action = SECCOMP_RET_ERRNO;
    const uint16_t one = 1;
    return ARCH != 0 && *(const uint8_t *)&one == 1 && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

ft_status ft_seccomp_enforce(ft_seccomp_profile profile, ft_err *e)
{
    program p = { .n = 0 };

    if (!ft_seccomp_works()) return ft_fail(e, FT_EIO, "this kernel has no seccomp filters");
    check_architecture(&p);
    if (profile == FT_SECCOMP_EVALUATE)
        evaluate(&p);
    else
        step(&p);
    if (p.n >= MAX_RULES) return ft_fail(e, FT_EUSAGE, "seccomp: too many rules");
    const struct sock_fprog filter = { p.n, p.code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return ft_fail_errno(e, "seccomp");
    const long s = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
    return s ? ft_fail_errno(e, "seccomp") : FT_OK;
}
