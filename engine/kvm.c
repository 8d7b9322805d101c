/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a guest can run on this host's KVM. A device file alone says little: nested machines and
 * containers show one that cannot be used. So a machine of one processor is made, and on x86_64 it
 * runs its first instruction.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "qemu.h"

#define API_VERSION 12

struct trial {
    int kvm;
    int machine;
    int processor;
};

#if defined(__x86_64__)

#define HOST_ARCH    BH_ARCH_X86_64
#define PAGE_BYTES   4096u
#define CODE_ADDRESS 0x1000u
#define VMX_BIT      5u /* CPUID 1, ECX: Intel's */
#define SVM_BIT      2u /* CPUID 0x80000001, ECX: AMD's */
#define OPCODE_HLT   0xf4u

/* Without either, KVM is one for guests that know it (kvm_pvm): it has a processor run its first
 * instructions too, but interprets a kernel of anyone else, hundreds of times slower. */
static bool host_can_virtualise(void)
{
    unsigned int a;
    unsigned int b;
    unsigned int c;
    unsigned int d;
    if (__get_cpuid(1, &a, &b, &c, &d) != 0 && (c >> VMX_BIT & 1u) != 0u) {
        return true;
    }
    return __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c >> SVM_BIT & 1u) != 0u;
}

/* Real mode, with the code segment at 0. */
static bool set_registers(int processor)
{
    struct kvm_sregs segments;
    const struct kvm_regs registers = {.rip = CODE_ADDRESS, .rflags = 2};
    if (ioctl(processor, KVM_GET_SREGS, &segments) != 0) {
        return false;
    }
    segments.cs.base = 0;
    segments.cs.selector = 0;
    return ioctl(processor, KVM_SET_SREGS, &segments) == 0 &&
           ioctl(processor, KVM_SET_REGS, &registers) == 0;
}

static bool halts(const struct trial *trial)
{
    int size = ioctl(trial->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(struct kvm_run)) {
        return false;
    }
    struct kvm_run *run =
        mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, trial->processor, 0);
    if (run == MAP_FAILED) {
        return false;
    }
    bool halted = set_registers(trial->processor) && ioctl(trial->processor, KVM_RUN, 0) == 0 &&
                  run->exit_reason == KVM_EXIT_HLT;
    (void)munmap(run, (size_t)size);
    return halted;
}

static const char *try_processor(const struct trial *trial)
{
    const char *refusal = "KVM does not run a processor's first instruction";
    if (!host_can_virtualise()) {
        return "the processor shows neither VMX nor SVM: this KVM (a nested one, such as kvm_pvm) "
               "interprets a guest's kernel";
    }
    uint8_t *code =
        mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) {
        return "no memory to try KVM with";
    }
    code[0] = OPCODE_HLT;
    const struct kvm_userspace_memory_region region = {.guest_phys_addr = CODE_ADDRESS,
                                                       .memory_size = PAGE_BYTES,
                                                       .userspace_addr = (uintptr_t)code};
    if (ioctl(trial->machine, KVM_SET_USER_MEMORY_REGION, &region) == 0 && halts(trial)) {
        refusal = NULL;
    }
    (void)munmap(code, PAGE_BYTES);
    return refusal;
}

#elif defined(__aarch64__)

#define HOST_ARCH BH_ARCH_ARM64

static const char *try_processor(const struct trial *trial)
{
    struct kvm_vcpu_init init;
    struct kvm_create_device gic = {.type = KVM_DEV_TYPE_ARM_VGIC_V3,
                                    .flags = KVM_CREATE_DEVICE_TEST};
    memset(&init, 0, sizeof(init));
    if (ioctl(trial->machine, KVM_ARM_PREFERRED_TARGET, &init) != 0 ||
        ioctl(trial->processor, KVM_ARM_VCPU_INIT, &init) != 0) {
        return "KVM does not make a processor like the host's";
    }
    if (ioctl(trial->machine, KVM_CREATE_DEVICE, &gic) != 0) {
        return "KVM has no GICv3 here, which the machine needs";
    }
    return NULL;
}

#else

#define HOST_ARCH UINT32_MAX

static const char *try_processor(const struct trial *trial)
{
    (void)trial;
    return "guests of this host's own architecture are not supported";
}

#endif

static const char *try_machine(struct trial *trial)
{
    if (ioctl(trial->kvm, KVM_GET_API_VERSION, 0) != API_VERSION) {
        return "/dev/kvm is not KVM as it has been since 2007";
    }
    trial->machine = ioctl(trial->kvm, KVM_CREATE_VM, 0);
    if (trial->machine < 0) {
        return "KVM makes no virtual machine";
    }
    const char *refusal = "KVM makes no virtual processor";
    trial->processor = ioctl(trial->machine, KVM_CREATE_VCPU, 0);
    if (trial->processor >= 0) {
        refusal = try_processor(trial);
        (void)close(trial->processor);
    }
    (void)close(trial->machine);
    return refusal;
}

const char *bh_kvm_refusal(uint32_t arch)
{
    struct trial trial = {.kvm = -1};
    if (arch != HOST_ARCH) {
        return "the guest's processors are not of the host's architecture";
    }
    trial.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (trial.kvm < 0) {
        return errno == EACCES || errno == EPERM
                   ? "this user may not use /dev/kvm; the group kvm usually may"
                   : "there is no usable /dev/kvm";
    }
    const char *refusal = try_machine(&trial);
    (void)close(trial.kvm);
    return refusal;
}
